// The norm of all gradients together, and their scaling by it, without the host: sums are of doubles, which hold
// the squares of all floats.

#include "kernels.h"

// adds to `sums`, one number for each block, the squares of all tensors
KERNEL add_squares(TENSORS_ARGUMENT all, double* sums) {
    double mine = 0;
    FOR_MINE(place, all.size()) {
        const int t = all.owner(place);
        const double x = all.at[0][t][place - all.start[t]];
        mine += x * x;
    }
    mine = together(mine, Sum());
    if (threadIdx.x == 0) sums[blockIdx.x] += mine;
}

// of so many sums, by one block: the norm, and what gradients are multiplied with, NaN if the norm is NaN
KERNEL finish_norm(int count, const double* sums, double most, double* norm_and_factor) {
    double mine = 0;
    for (int n = threadIdx.x; n < count; n += blockDim.x) mine += sums[n];
    mine = together(mine, Sum());
    if (threadIdx.x == 0) {
        const double norm = sqrt(mine), factor = most / (norm + 1e-6);
        norm_and_factor[0] = norm;
        norm_and_factor[1] = factor >= 1 ? 1 : factor;
    }
}

KERNEL scale(TENSORS_ARGUMENT all, const double* norm_and_factor) {
    const double factor = norm_and_factor[1];
    if (factor == 1) return;
    FOR_MINE(place, all.size()) {
        const int t = all.owner(place);
        all.at[0][t][place - all.start[t]] *= (REAL)factor;
    }
}
