// Run-time choice between the AVX2 code and the portable code. Both give the same bytes.
#pragma once

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define TELEGLYPH_HAS_AVX2 1
#define TELEGLYPH_AVX2 __attribute__((target("avx2")))
#else
#define TELEGLYPH_HAS_AVX2 0
#endif

namespace teleglyph {

// Whether AVX2 code is compiled in, this processor has it, and it has not been switched off.
bool use_avx2() noexcept;

// Allow or forbid AVX2 for the whole process; returns what use_avx2() says from now on.
bool set_simd(bool enabled) noexcept;

}  // namespace teleglyph
