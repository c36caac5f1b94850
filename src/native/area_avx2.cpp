// The two passes of area averaging with AVX2. Results are equal to those of area.cpp, bit for bit.
#include "area.hpp"
#include "simd.hpp"

#if TELEGLYPH_HAS_AVX2

#include <immintrin.h>

namespace teleglyph::area {
namespace {

// 32 columns of bytes, all rows: two rows are interleaved, so that one multiply-add by ones makes eight exact 16-bit
// sums of neighbouring bytes of the column.
TELEGLYPH_AVX2 inline void sum_strip(const std::uint8_t* source, std::size_t stride, std::uint32_t rows,
                                     std::uint16_t* sums) {
    const __m256i ones = _mm256_set1_epi8(1);
    const __m256i zero = _mm256_setzero_si256();
    __m256i low = zero;   // columns 0-7 and 16-23
    __m256i high = zero;  // columns 8-15 and 24-31
    for (std::uint32_t pair = rows / 2; pair > 0; --pair, source += 2 * stride) {
        const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source));
        const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source + stride));
        low = _mm256_add_epi16(low, _mm256_maddubs_epi16(_mm256_unpacklo_epi8(a, b), ones));
        high = _mm256_add_epi16(high, _mm256_maddubs_epi16(_mm256_unpackhi_epi8(a, b), ones));
    }
    if (rows % 2 != 0) {
        const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source));
        low = _mm256_add_epi16(low, _mm256_unpacklo_epi8(a, zero));
        high = _mm256_add_epi16(high, _mm256_unpackhi_epi8(a, zero));
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums + 16), _mm256_permute2x128_si256(low, high, 0x31));
}

// What the mean of a box needs, for boxes of `narrow` and of `narrow + 1` columns.
struct Divisor {
    __m128 bias[2];
    __m128 reciprocal[2];
    __m128i wide_mask[2];  // keeps the additional column of the wider box
};

TELEGLYPH_AVX2 inline Divisor make_divisor(std::uint32_t narrow, std::uint32_t rows) {
    Divisor divisor;
    for (std::uint32_t wide = 0; wide < 2; ++wide) {
        const float area = static_cast<float>((narrow + wide) * rows);
        divisor.bias[wide] = _mm_set1_ps(0.5F * area + 0.25F);
        divisor.reciprocal[wide] = _mm_set1_ps(1.0F / area);
        divisor.wide_mask[wide] = _mm_set1_epi32(wide != 0 ? -1 : 0);
    }
    return divisor;
}

// One pixel's sums and a fourth, meaningless lane.
TELEGLYPH_AVX2 inline __m128i load_pixel(const std::uint16_t* sums) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(sums));
}

TELEGLYPH_AVX2 inline Cell mean_cell(__m128i sums, const Divisor& divisor, std::uint32_t wide) {
    const __m128 biased = _mm_add_ps(_mm_cvtepi32_ps(sums), divisor.bias[wide]);
    const __m128i mean = _mm_cvttps_epi32(_mm_mul_ps(biased, divisor.reciprocal[wide]));
    const __m128i bytes = _mm_shuffle_epi8(mean, _mm_cvtsi32_si128(static_cast<int>(0x80080400U)));
    return kOpaque | static_cast<Cell>(_mm_cvtsi128_si32(bytes));
}

// Box sums fit into 16 bits: eight lanes are two pixels and the beginning of a third, which is ignored.
TELEGLYPH_AVX2 void average_small(const std::uint16_t* sums, const Span* columns, std::size_t width,
                                  std::uint32_t narrow, const Divisor& divisor, Cell* target) {
    for (std::size_t x = 0; x < width; ++x) {
        const std::uint16_t* box = sums + 3 * static_cast<std::size_t>(columns[x].begin);
        const std::uint32_t wide = columns[x].count - narrow;
        __m128i total = _mm_setzero_si128();
        for (std::uint32_t pair = narrow / 2; pair > 0; --pair, box += 6)
            total = _mm_add_epi16(total, _mm_loadu_si128(reinterpret_cast<const __m128i*>(box)));
        total = _mm_add_epi16(total, _mm_srli_si128(total, 6));
        if (narrow % 2 != 0) {
            total = _mm_add_epi16(total, load_pixel(box));
            box += 3;
        }
        total = _mm_add_epi16(total, _mm_and_si128(load_pixel(box), divisor.wide_mask[wide]));
        target[x] = mean_cell(_mm_cvtepu16_epi32(total), divisor, wide);
    }
}

TELEGLYPH_AVX2 void average_medium(const std::uint16_t* sums, const Span* columns, std::size_t width,
                                   std::uint32_t narrow, const Divisor& divisor, Cell* target) {
    for (std::size_t x = 0; x < width; ++x) {
        const std::uint16_t* box = sums + 3 * static_cast<std::size_t>(columns[x].begin);
        const std::uint32_t wide = columns[x].count - narrow;
        __m128i total = _mm_setzero_si128();
        for (std::uint32_t i = narrow; i > 0; --i, box += 3)
            total = _mm_add_epi32(total, _mm_cvtepu16_epi32(load_pixel(box)));
        total = _mm_add_epi32(total, _mm_cvtepu16_epi32(_mm_and_si128(load_pixel(box), divisor.wide_mask[wide])));
        target[x] = mean_cell(total, divisor, wide);
    }
}

}  // namespace

TELEGLYPH_AVX2 void sum_rows_avx2(const std::uint8_t* source, std::size_t bytes, std::uint32_t rows,
                                  std::uint16_t* sums) {
    if (bytes < 32) {
        sum_rows(source, bytes, rows, sums);
        return;
    }
    std::size_t at = 0;
    for (; at + 32 <= bytes; at += 32) sum_strip(source + at, bytes, rows, sums + at);
    // The rest is summed together with columns that were summed already: nothing outside the rows is read.
    if (at < bytes) sum_strip(source + bytes - 32, bytes, rows, sums + bytes - 32);
}

TELEGLYPH_AVX2 void average_columns_avx2(const std::uint16_t* sums, const Span* columns, std::size_t width,
                                         std::uint32_t narrow, std::uint32_t rows, Cell* target) {
    const Divisor divisor = make_divisor(narrow, rows);
    if ((narrow + 1) * rows <= kMaxRowsPerSum)
        average_small(sums, columns, width, narrow, divisor, target);
    else
        average_medium(sums, columns, width, narrow, divisor, target);
}

}  // namespace teleglyph::area

#else

namespace teleglyph::area {

void sum_rows_avx2(const std::uint8_t* source, std::size_t bytes, std::uint32_t rows, std::uint16_t* sums) {
    sum_rows(source, bytes, rows, sums);
}

void average_columns_avx2(const std::uint16_t* sums, const Span* columns, std::size_t width, std::uint32_t narrow,
                          std::uint32_t rows, Cell* target) {
    average_columns(sums, columns, width, narrow, rows, target);
}

}  // namespace teleglyph::area

#endif
