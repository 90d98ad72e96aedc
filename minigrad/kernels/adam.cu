// One step of Adam (Kingma & Ba 2015) on a parameter as one row of N numbers.

#include "kernels.h"

// old1 = beta1 and new1 = 1 - beta1, so that the difference is taken in double; `largest` is the v of AMSGrad,
// or null. `eps` and `lr` hold the corrections of the bias.
KERNEL adam(Long N, REAL* x, const REAL* g, REAL* m, REAL* v, REAL* largest, REAL old1, REAL new1,
            REAL old2, REAL new2, REAL eps, REAL lr) {
    FOR_MINE(n, N) {
        const REAL d = g[n];
        m[n] = m[n] * old1 + d * new1;
        v[n] = v[n] * old2 + d * d * new2;
        REAL size = v[n];
        if (largest) size = largest[n] = Larger()(largest[n], size);
        x[n] -= m[n] / (sqrt(size) + eps) * lr;
    }
}
