// Step t of T of a recurrent layer, between its products, all units and sentences at once, and back.
//
// The batch comes last, as everywhere in the recurrent ops, and arrays are those of all steps: a state is (H, B),
// the gates of a step are (blocks H, B) without gaps. `kept` steps of the gates are there, which take turns: all
// for training, one otherwise; of the cells one more. What is multiplied with x at all steps at once is
// (rows, T, B). `idle` (T, B) says which sentences stay as they are, or is null.

#include "kernels.h"

// A state comes before and after every step. Arrays of gradients are of one step, but for `all` of the gates', and
// g_h (T, H, B) of the outputs'. `passed` is what reaches h before a step without a product: it is added to dh by
// the next launch, or by the caller after the last.

// products with h in `gates`, which become i, f, g, o; from_x (4H, T, B)
KERNEL lstm_forward(int H, int B, int T, int kept, REAL* gates, const REAL* from_x, REAL* cells, REAL* squashed,
                    REAL* states, const bool* idle, int t) {
    const Long N = (Long)H * B, row = (Long)T * B;
    const REAL *c_before = cells + t % (kept + 1) * N, *h_before = states + t * N;
    REAL *c_after = cells + (t + 1) % (kept + 1) * N, *h_after = states + (t + 1) * N;
    gates += t % kept * 4 * N;
    squashed += t % kept * N;
    FOR_MINE(n, N) {
        const int b = (unsigned)n % B, unit = (unsigned)n / B;  // of 64 bits they would be slow
        const REAL* x = from_x + unit * row + t * B + b;
        const REAL i = sigmoid(gates[n] + x[0]);
        const REAL f = sigmoid(gates[n + N] + x[H * row]);
        const REAL g = tanh(gates[n + 2 * N] + x[2 * H * row]);
        const REAL o = sigmoid(gates[n + 3 * N] + x[3 * H * row]);
        const REAL c = f * c_before[n] + i * g, s = tanh(c);
        gates[n] = i;
        gates[n + N] = f;
        gates[n + 2 * N] = g;
        gates[n + 3 * N] = o;
        squashed[n] = s;
        const bool stays = idle && idle[t * B + b];
        c_after[n] = stays ? c_before[n] : c;
        h_after[n] = stays ? h_before[n] : o * s;
    }
}

// From the gradients of a step's output and dh, dc of its state: those d (4H, B) of its gates, also in
// all (4H, T, B), dc of the cell before, and `passed`.
KERNEL lstm_backward(int H, int B, int T, const REAL* gates, const REAL* cells, const REAL* squashed,
                     const REAL* g_h, const REAL* dh, REAL* passed, REAL* d, REAL* all, REAL* dc, const bool* idle,
                     int t) {
    const Long N = (Long)H * B, row = (Long)T * B;
    const REAL* c_before = cells + t * N;
    gates += t * 4 * N;
    squashed += t * N;
    g_h += t * N;
    FOR_MINE(n, N) {
        const int b = (unsigned)n % B, unit = (unsigned)n / B;  // of 64 bits they would be slow
        REAL* column = all + unit * row + t * B + b;
        const REAL total = dh[n] + passed[n] + g_h[n];
        const bool stays = idle && idle[t * B + b];
        const REAL i = gates[n], f = gates[n + N], g = gates[n + 2 * N], o = gates[n + 3 * N];
        const REAL s = squashed[n], d_c = dc[n] + total * o * (1 - s * s);
        const REAL d_i = stays ? 0 : d_c * g * i * (1 - i);
        const REAL d_f = stays ? 0 : d_c * c_before[n] * f * (1 - f);
        const REAL d_g = stays ? 0 : d_c * i * (1 - g * g);
        const REAL d_o = stays ? 0 : total * s * o * (1 - o);
        d[n] = column[0] = d_i;
        d[n + N] = column[H * row] = d_f;
        d[n + 2 * N] = column[2 * H * row] = d_g;
        d[n + 3 * N] = column[3 * H * row] = d_o;
        if (!stays) dc[n] = d_c * f;
        passed[n] = stays ? total : 0;
    }
}

// products (3H, B) with h in the order r, z, n of the weights; gates m, r, z, n, where m is what r lets through of h
KERNEL gru_forward(int H, int B, int T, int kept, const REAL* products, REAL* gates, const REAL* from_x,
                   const REAL* b_hn, REAL* states, const bool* idle, int t) {
    const Long N = (Long)H * B, row = (Long)T * B;
    const REAL* h_before = states + t * N;
    REAL* h_after = states + (t + 1) * N;
    gates += t % kept * 4 * N;
    FOR_MINE(n, N) {
        const int b = (unsigned)n % B, unit = (unsigned)n / B;  // of 64 bits they would be slow
        const REAL* x = from_x + unit * row + t * B + b;
        const REAL r = sigmoid(products[n] + x[0]);
        const REAL z = sigmoid(products[n + N] + x[H * row]);
        const REAL m = products[n + 2 * N] + b_hn[unit];
        const REAL new_ = tanh(r * m + x[2 * H * row]);
        gates[n] = m;
        gates[n + N] = r;
        gates[n + 2 * N] = z;
        gates[n + 3 * N] = new_;
        const bool stays = idle && idle[t * B + b];
        h_after[n] = stays ? h_before[n] : new_ + z * (h_before[n] - new_);
    }
}

// as that of the LSTM; the rows of d, and of all, are those of m, r, z, n
KERNEL gru_backward(int H, int B, int T, const REAL* gates, const REAL* states, const REAL* g_h, const REAL* dh,
                    REAL* passed, REAL* d, REAL* all, const bool* idle, int t) {
    const Long N = (Long)H * B, row = (Long)T * B;
    const REAL* h_before = states + t * N;
    gates += t * 4 * N;
    g_h += t * N;
    FOR_MINE(n, N) {
        const int b = (unsigned)n % B, unit = (unsigned)n / B;  // of 64 bits they would be slow
        REAL* column = all + unit * row + t * B + b;
        const REAL total = dh[n] + passed[n] + g_h[n];
        const bool stays = idle && idle[t * B + b];
        const REAL m = gates[n], r = gates[n + N], z = gates[n + 2 * N], new_ = gates[n + 3 * N];
        const REAL d_n = stays ? 0 : total * (1 - z) * (1 - new_ * new_);
        d[n] = column[0] = d_n * r;
        d[n + N] = column[H * row] = d_n * m * r * (1 - r);
        d[n + 2 * N] = column[2 * H * row] = stays ? 0 : total * (h_before[n] - new_) * z * (1 - z);
        d[n + 3 * N] = column[3 * H * row] = d_n;
        passed[n] = stays ? total : total * z;
    }
}
