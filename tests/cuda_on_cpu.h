// CUDA's words for a compiler that knows only C++: a thread of the CPU for each thread of a block, one block
// after the other. There are no warps here, and no lanes that see each other's registers.
#pragma once
#include <barrier>
#include <cmath>
#include <memory>

struct Place { unsigned x; };
inline thread_local Place threadIdx, blockIdx, blockDim, gridDim;
inline std::unique_ptr<std::barrier<>> meeting;

#define __global__
#define __device__
#define __grid_constant__
#define __shared__ static  // blocks come one after the other, so one copy is enough
inline void __syncthreads() { meeting->arrive_and_wait(); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
    return (unsigned __int128)a * b >> 64;
}
using std::exp, std::log, std::sqrt, std::tanh;

extern "C" void be(unsigned thread, unsigned threads, unsigned block, unsigned blocks) {
    threadIdx.x = thread, blockDim.x = threads, blockIdx.x = block, gridDim.x = blocks;
}
extern "C" void meet(unsigned threads) { meeting = std::make_unique<std::barrier<>>(threads); }
