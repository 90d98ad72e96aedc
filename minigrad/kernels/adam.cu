// One step of Adam (Kingma & Ba 2015) on all parameters of one type.

#include "kernels.h"

// For each parameter x, g, m, v, and the largest v of AMSGrad, or null. old1 = beta1 and new1 = 1 - beta1, so that
// the difference is taken in double; `eps` and `lr` hold the corrections of the bias. The gradient is
// sign g + decay x; x shrinks before the step.
KERNEL adam(TENSORS_ARGUMENT all, REAL old1, REAL new1, REAL old2, REAL new2, REAL eps, REAL lr, REAL sign,
            REAL decay, REAL shrink) {
    FOR_MINE(place, all.size()) {
        const int t = all.owner(place);
        const Long n = place - all.start[t];
        REAL &x = all.at[0][t][n], &m = all.at[2][t][n], &v = all.at[3][t][n];
        REAL* largest = all.at[4][t];
        REAL d = sign * all.at[1][t][n];
        if (decay != 0) d += decay * x;  // 0 times infinity is not 0
        m = m * old1 + d * new1;
        v = v * old2 + d * d * new2;
        REAL size = v;
        if (largest) size = largest[n] = Larger()(largest[n], size);
        x = x * shrink - m / (sqrt(size) + eps) * lr;
    }
}
