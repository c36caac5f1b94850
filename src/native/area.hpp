// Area-average scaling of RGB pictures into cells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cells.hpp"

namespace teleglyph {

// The source indices that target index i covers: floor(i*S/D) up to, not including, floor((i+1)*S/D), at least one.
struct Span {
    std::uint32_t begin;
    std::uint32_t count;

    bool operator==(const Span&) const = default;
};

constexpr Span covered(std::uint32_t index, std::uint32_t source, std::uint32_t target) noexcept {
    // Sides are at most 8192 (of a target: 4096 rows of four), so the products fit into 32 bits.
    const std::uint32_t begin = index * source / target;
    const std::uint32_t end = (index + 1) * source / target;
    return {begin, end > begin ? end - begin : 1};
}

// Scales pictures; keeps its working memory from call to call. One thread at a time.
//
// Every target cell is the mean of its box of source pixels, each channel rounded half up, exactly. Where the target is
// larger than the source, boxes are single pixels (nearest neighbour).
class AreaScaler {
public:
    // Writes width x height cells; row y begins at target + y * stride. All sizes are at least 1 and within the limits
    // of cells.hpp.
    void scale(const Picture& source, Cell* target, std::size_t stride, std::uint32_t width, std::uint32_t height);

private:
    void prepare(const Picture& source, std::uint32_t width);
    void average_row(const Picture& source, Span rows, Cell* target);
    void average_large_row(const Picture& source, Span rows, Cell* target);

    std::vector<Span> columns_;              // horizontal box of each target cell
    std::vector<std::uint16_t> sums_;        // vertical sums of one row of boxes, one per source byte
    std::vector<std::uint32_t> large_sums_;  // the same for boxes of more rows than 16 bits can hold
};

namespace area {

// 16-bit sums hold this many rows: 257 * 255 = 65535.
inline constexpr std::uint32_t kMaxRowsPerSum = 257;

// Largest box for which the mean of sum s over d pixels may be taken in single precision as
//     trunc((s + d/2 + 1/4) * (1/d)).
// Half-up rounding is floor((2s + d) / 2d). Adding a quarter keeps the exact quotient at least 1/(4d) away from every
// integer. The sum in parentheses is a multiple of 1/4 below 2^22 and thus exact. The reciprocal and the product are
// rounded once each, by a factor of at most 1 + 2^-24, so the quotient, which is below 256, is off by less than
// 256 * (2^-23 + 2^-48) < 3.06e-5. For d <= 8000 that is less than 1/(4d) >= 3.12e-5, and truncation is exact.
inline constexpr std::uint32_t kMaxExactArea = 8000;

// Readable elements behind the last sum, for vector loads that take more than one pixel.
inline constexpr std::size_t kSumPadding = 16;

// The two passes. sum_rows adds `rows` rows of `bytes` bytes that are `bytes` apart. average_columns turns sums over
// `rows` rows into cells; columns[i].count is `narrow` or `narrow + 1`, and (narrow + 1) * rows <= kMaxExactArea
// unless all counts are `narrow`.
using SumRows = void (*)(const std::uint8_t* source, std::size_t bytes, std::uint32_t rows, std::uint16_t* sums);
using AverageColumns = void (*)(const std::uint16_t* sums, const Span* columns, std::size_t width, std::uint32_t narrow,
                                std::uint32_t rows, Cell* target);

void sum_rows(const std::uint8_t* source, std::size_t bytes, std::uint32_t rows, std::uint16_t* sums);
void average_columns(const std::uint16_t* sums, const Span* columns, std::size_t width, std::uint32_t narrow,
                     std::uint32_t rows, Cell* target);

void sum_rows_avx2(const std::uint8_t* source, std::size_t bytes, std::uint32_t rows, std::uint16_t* sums);
void average_columns_avx2(const std::uint16_t* sums, const Span* columns, std::size_t width, std::uint32_t narrow,
                          std::uint32_t rows, Cell* target);

}  // namespace area
}  // namespace teleglyph
