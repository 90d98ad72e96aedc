// What every kernel begins with. Each file is compiled once for every type of numbers, REAL. A compiler that
// is not CUDA's gets other meanings for CUDA's words: the tests run the same source on a CPU.

#ifndef REAL
#define REAL float
#endif

typedef long long Long;  // 64 bits on every system; an array of int64
typedef unsigned long long Word;

#define KERNEL extern "C" __global__ void

// the numbers from 0 to count - 1 that are this thread's
#define FOR_MINE(n, count)                                                                       \
    for (Long n = blockIdx.x * (Long)blockDim.x + threadIdx.x; n < (count);                      \
         n += (Long)blockDim.x * gridDim.x)

// without a header, which NVRTC may not find
__device__ inline REAL not_a_number() { return log((REAL)-1); }
__device__ inline REAL minus_infinity() { return log((REAL)0); }

__device__ inline REAL sigmoid(REAL x) { return (REAL)0.5 * (REAL)tanh((REAL)0.5 * x) + (REAL)0.5; }

// Over what all threads of a block have, in the same order whatever runs first. The threads of a block are a
// power of two, WIDTH at most.
enum { WIDTH = 256 };

template <class N, class F>
__device__ N together(N mine, F with) {
    __shared__ N all[WIDTH];
    all[threadIdx.x] = mine;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) all[threadIdx.x] = with(all[threadIdx.x], all[threadIdx.x + half]);
    }
    __syncthreads();
    const N result = all[0];
    __syncthreads();  // before the next use of `all`
    return result;
}

struct Larger {
    template <class N>
    __device__ N operator()(N a, N b) const { return a > b || a != a ? a : b; }  // NaN stays
};
struct Sum {
    template <class N>
    __device__ N operator()(N a, N b) const { return a + b; }
};

// Several tensors, side by side as one row of numbers, so that one launch does for all of them what is done for
// each number. By value it is a kernel's argument of 3.1 KB; 4 are allowed.
enum { TENSORS = 64, ROLES = 5 };

struct Tensors {
    Long start[TENSORS + 1];  // in the row; beyond the last tensor, the end of the row
    REAL* at[ROLES][TENSORS];  // its numbers, their gradients, ...: what they are the kernel says

    __device__ Long size() const { return start[TENSORS]; }

    // whose number n is
    __device__ int owner(Long n) const {
        int t = 0;
        for (int step = TENSORS / 2; step > 0; step /= 2)
            if (start[t + step] <= n) t += step;
        return t;
    }
};
// Read where arguments lie: a copy of it, for its indices are not known, would lie in slow memory. GPUs before
// Volta have no word for that.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 700
#define TENSORS_ARGUMENT const Tensors
#else
#define TENSORS_ARGUMENT const __grid_constant__ Tensors
#endif
