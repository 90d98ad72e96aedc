// The factors of dropout, drawn by place: Philox 4x64-10 (Salmon et al. 2011, "Parallel random numbers: as easy
// as 1, 2, 3"), numbered as NumPy numbers it, whose first block is 1.

#include "kernels.h"

struct Words {
    Word w[4];
};

__device__ Words philox(Word block, Word key) {
    Words c = {{block, 0, 0, 0}};
    Word k0 = key, k1 = 0;
    for (int round = 0; round < 10; ++round) {
        const Word m0 = 0xD2E7470EE14C6C93, m1 = 0xCA5A826395121157;
        const Word a = c.w[0], b = c.w[2];
        c = {{__umul64hi(m1, b) ^ c.w[1] ^ k0, m1 * b, __umul64hi(m0, a) ^ c.w[3] ^ k1, m0 * a}};
        k0 += 0x9E3779B97F4A7C15;  // Weyl sequences of the golden ratio and of the root of 3
        k1 += 0xBB67AE8584CAA73B;
    }
    return c;
}

// y (N): 0 where the 32 bits of an element are below the threshold, else the scale. A block of Philox is for 8
// neighbours, the lower half of a word first.
KERNEL drop_factors(Long N, REAL* y, Long key, unsigned threshold, REAL scale) {
    FOR_MINE(block, (N + 7) / 8) {
        const Words c = philox(block + 1, key);
#pragma unroll  // the words stay in registers
        for (int n = 0; n < 8; ++n) {
            const unsigned bits = c.w[n / 2] >> 32 * (n % 2);
            if (8 * block + n < N) y[8 * block + n] = bits < threshold ? 0 : scale;
        }
    }
}
