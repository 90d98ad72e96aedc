// What every kernel begins with. Each file is compiled once for every type of numbers, REAL. A compiler that
// is not CUDA's gets other meanings for CUDA's words: the tests run the same source on a CPU.
#pragma once

#ifndef REAL
#define REAL float
#endif

#define KERNEL extern "C" __global__ void

// the numbers from 0 to count - 1 that are this thread's
#define FOR_MINE(n, count)                                                                       \
    for (long n = blockIdx.x * (long)blockDim.x + threadIdx.x; n < (count);                      \
         n += (long)blockDim.x * gridDim.x)

__device__ inline REAL sigmoid(REAL x) { return (REAL)0.5 * (REAL)tanh((REAL)0.5 * x) + (REAL)0.5; }
