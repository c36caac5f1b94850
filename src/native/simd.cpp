#include "simd.hpp"

#include <atomic>

namespace teleglyph {
namespace {

bool processor_has_avx2() noexcept {
#if TELEGLYPH_HAS_AVX2
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
#else
    return false;
#endif
}

std::atomic<bool> avx2_in_use{processor_has_avx2()};

}  // namespace

bool use_avx2() noexcept { return avx2_in_use.load(std::memory_order_relaxed); }

bool set_simd(bool enabled) noexcept {
    avx2_in_use.store(enabled && processor_has_avx2(), std::memory_order_relaxed);
    return use_avx2();
}

}  // namespace teleglyph
