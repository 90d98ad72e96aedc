// The norm of all gradients together, and their scaling by it, without the host: sums are of doubles, which hold
// the squares of all floats.

#include "kernels.h"

// adds to `sums`, one number for each block, the squares of x (N)
KERNEL add_squares(Long N, const REAL* x, double* sums) {
    double mine = 0;
    FOR_MINE(n, N) mine += (double)x[n] * x[n];
    mine = together(mine, Sum());
    if (threadIdx.x == 0) sums[blockIdx.x] += mine;
}

// of so many sums, by one block: the norm, and what gradients are multiplied with, NaN if the norm is NaN
KERNEL finish_norm(int count, const double* sums, double most, double* norm, double* factor) {
    double mine = 0;
    for (int n = threadIdx.x; n < count; n += blockDim.x) mine += sums[n];
    mine = together(mine, Sum());
    if (threadIdx.x == 0) {
        norm[0] = sqrt(mine);
        factor[0] = most / (norm[0] + 1e-6) >= 1 ? 1 : most / (norm[0] + 1e-6);
    }
}

KERNEL scale(Long N, REAL* x, const double* factor) {
    if (factor[0] == 1) return;
    FOR_MINE(n, N) x[n] *= (REAL)factor[0];
}
