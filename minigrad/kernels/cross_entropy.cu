// Softmax and cross-entropy of rows of logits x (N, V), a block for each row; the threads of a block are a
// power of two. With `top` the largest of a row and `total` the sum of e^(x - top),
//
//     loss = share ln total - own (x[class] - top) - sum of spread (x - top)
//
// where `own` and `share` (N) and `spread` (V), null for zeros, hold label smoothing and weights of classes.

#include "kernels.h"

// A row that is `ignored` has loss 0; of a class that does not exist, for nobody waits to be told, it is NaN.
KERNEL cross_entropy_forward(Long N, int V, const REAL* x, const Long* classes, const bool* ignored,
                             const REAL* own, const REAL* share, const REAL* spread, REAL* loss, REAL* top,
                             REAL* total) {
    for (Long n = blockIdx.x; n < N; n += gridDim.x) {
        const REAL* row = x + n * V;
        REAL most = row[0];
        for (int v = threadIdx.x; v < V; v += blockDim.x) most = Larger()(most, row[v]);
        most = together(most, Larger());
        REAL sum = 0, smooth = 0;
        for (int v = threadIdx.x; v < V; v += blockDim.x) {
            sum += exp(row[v] - most);
            if (spread) smooth += spread[v] * (row[v] - most);
        }
        sum = together(sum, Sum());
        if (spread) smooth = together(smooth, Sum());
        if (threadIdx.x == 0) {
            top[n] = most;
            total[n] = sum;
            const Long c = classes[n];
            const REAL own_part = own[n] * (0 <= c && c < V ? row[c] - most : not_a_number());
            loss[n] = ignored[n] ? 0 : share[n] * log(sum) - own_part - smooth;
        }
    }
}

// g (N), of the losses, to dx (N, V); zeros in a row that is `ignored`
KERNEL cross_entropy_backward(Long N, int V, const REAL* x, const Long* classes, const bool* ignored,
                              const REAL* own, const REAL* share, const REAL* spread, const REAL* top,
                              const REAL* total, const REAL* g, REAL* dx) {
    for (Long n = blockIdx.x; n < N; n += gridDim.x) {
        const REAL scale = share[n] / total[n];
        for (int v = threadIdx.x; v < V; v += blockDim.x) {
            REAL d = scale * exp(x[n * V + v] - top[n]);
            if (spread) d -= spread[v];
            if (v == classes[n]) d -= own[n];
            dx[n * V + v] = ignored[n] ? 0 : d * g[n];
        }
    }
}
