// The k largest of every row of x (N, V), best first, a block for each row: CuPy would sort it.

#include "kernels.h"

struct Found {
    REAL value;
    int at;
};

// NaN before all numbers; of equals the first
__device__ bool before(Found a, Found b) {
    const bool nan_a = a.value != a.value, nan_b = b.value != b.value;
    if (nan_a != nan_b) return nan_a;
    if (!nan_a && a.value != b.value) return a.value > b.value;
    return a.at < b.at;
}

struct First {
    __device__ Found operator()(Found a, Found b) const { return before(b, a) ? b : a; }
};

// ids (N, k): every round looks for the best of those behind the one before
KERNEL largest(Long N, int V, int k, const REAL* x, Long* ids) {
    for (Long n = blockIdx.x; n < N; n += gridDim.x) {
        Found last = {not_a_number(), -1};  // before all
        for (int rank = 0; rank < k; ++rank) {
            Found mine = {minus_infinity(), V};  // behind all
            for (int v = threadIdx.x; v < V; v += blockDim.x) {
                const Found one = {x[n * V + v], v};
                if (before(last, one) && before(one, mine)) mine = one;
            }
            last = together(mine, First());
            if (threadIdx.x == 0) ids[n * k + rank] = last.at;
        }
    }
}
