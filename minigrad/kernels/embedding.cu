// The gradient of a table of rows: what was looked up several times is summed in the order of the lookups, so
// that a run can be repeated.

#include "kernels.h"

// ids (N), sorted, and the rows (., D) they stand for in `order`; row `skip` of the table stays, -1 for none
KERNEL embedding_add(Long N, int D, REAL* table, const Long* ids, const Long* order, const REAL* rows,
                     Long skip) {
    FOR_MINE(n, N * D) {
        const Long first = n / D, d = n % D, id = ids[first];
        if (id == skip || (first > 0 && ids[first - 1] == id)) continue;
        REAL sum = table[id * D + d];
        for (Long m = first; m < N && ids[m] == id; ++m) sum += rows[order[m] * D + d];
        table[id * D + d] = sum;
    }
}
