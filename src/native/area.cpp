#include "area.hpp"

#include <algorithm>

#include "simd.hpp"

namespace teleglyph {
namespace area {

void sum_rows(const std::uint8_t* __restrict source, std::size_t bytes, std::uint32_t rows,
              std::uint16_t* __restrict sums) {
    for (std::size_t i = 0; i < bytes; ++i) sums[i] = source[i];
    std::uint32_t row = 1;
    for (; row + 4 <= rows; row += 4) {
        const std::uint8_t* a = source + row * bytes;
        const std::uint8_t* b = a + bytes;
        const std::uint8_t* c = b + bytes;
        const std::uint8_t* d = c + bytes;
        for (std::size_t i = 0; i < bytes; ++i)
            sums[i] = static_cast<std::uint16_t>(sums[i] + a[i] + b[i] + c[i] + d[i]);
    }
    for (; row < rows; ++row) {
        const std::uint8_t* a = source + row * bytes;
        for (std::size_t i = 0; i < bytes; ++i) sums[i] = static_cast<std::uint16_t>(sums[i] + a[i]);
    }
}

void average_columns(const std::uint16_t* sums, const Span* columns, std::size_t width, std::uint32_t narrow,
                     std::uint32_t rows, Cell* target) {
    const float areas[2] = {static_cast<float>(narrow * rows), static_cast<float>((narrow + 1) * rows)};
    for (std::size_t x = 0; x < width; ++x) {
        const std::uint16_t* box = sums + 3 * static_cast<std::size_t>(columns[x].begin);
        const std::uint32_t count = columns[x].count;
        std::uint32_t red = 0, green = 0, blue = 0;
        for (std::uint32_t i = 0; i < count; ++i, box += 3) {
            red += box[0];
            green += box[1];
            blue += box[2];
        }
        const float area = areas[count - narrow];
        const float reciprocal = 1.0F / area;
        const auto mean = [bias = 0.5F * area + 0.25F, reciprocal](std::uint32_t sum) {
            return static_cast<Cell>((static_cast<float>(static_cast<std::int32_t>(sum)) + bias) * reciprocal);
        };
        target[x] = kOpaque | mean(blue) << 16 | mean(green) << 8 | mean(red);
    }
}

namespace {

// The mean in integers, for boxes beyond kMaxExactArea.
Cell exact_mean(const std::uint32_t* sums, Span columns, std::uint32_t rows) {
    std::uint64_t total[3] = {};
    for (std::uint32_t i = 0; i < columns.count; ++i)
        for (std::size_t channel = 0; channel < 3; ++channel) total[channel] += sums[3 * (columns.begin + i) + channel];
    const std::uint64_t area = static_cast<std::uint64_t>(columns.count) * rows;
    const auto mean = [area](std::uint64_t sum) { return static_cast<Cell>((2 * sum + area) / (2 * area)); };
    return kOpaque | mean(total[2]) << 16 | mean(total[1]) << 8 | mean(total[0]);
}

}  // namespace
}  // namespace area

void AreaScaler::prepare(const Picture& source, std::uint32_t width) {
    columns_.resize(width);
    for (std::uint32_t x = 0; x < width; ++x) columns_[x] = covered(x, source.width, width);
    sums_.resize(3 * static_cast<std::size_t>(source.width) + area::kSumPadding);
}

void AreaScaler::scale(const Picture& source, Cell* target, std::size_t stride, std::uint32_t width,
                       std::uint32_t height) {
    prepare(source, width);
    Span previous{0, 0};
    for (std::uint32_t y = 0; y < height; ++y, target += stride) {
        const Span rows = covered(y, source.height, height);
        if (rows == previous) {
            std::copy_n(target - stride, width, target);
        } else {
            average_row(source, rows, target);
            previous = rows;
        }
    }
}

void AreaScaler::average_row(const Picture& source, Span rows, Cell* target) {
    const std::size_t width = columns_.size();
    const std::uint32_t narrow = std::max<std::uint32_t>(1, source.width / static_cast<std::uint32_t>(width));
    if (rows.count > area::kMaxRowsPerSum || (narrow + 1) * rows.count > area::kMaxExactArea) {
        average_large_row(source, rows, target);
        return;
    }
    const bool avx2 = use_avx2();
    const area::SumRows sum_rows = avx2 ? area::sum_rows_avx2 : area::sum_rows;
    const area::AverageColumns average_columns = avx2 ? area::average_columns_avx2 : area::average_columns;
    const std::size_t bytes = 3 * static_cast<std::size_t>(source.width);
    sum_rows(source.pixels + rows.begin * bytes, bytes, rows.count, sums_.data());
    average_columns(sums_.data(), columns_.data(), width, narrow, rows.count, target);
}

void AreaScaler::average_large_row(const Picture& source, Span rows, Cell* target) {
    const area::SumRows sum_rows = use_avx2() ? area::sum_rows_avx2 : area::sum_rows;
    const std::size_t bytes = 3 * static_cast<std::size_t>(source.width);
    large_sums_.assign(bytes, 0);
    for (std::uint32_t done = 0; done < rows.count;) {
        const std::uint32_t part = std::min(rows.count - done, area::kMaxRowsPerSum);
        sum_rows(source.pixels + (rows.begin + done) * bytes, bytes, part, sums_.data());
        for (std::size_t i = 0; i < bytes; ++i) large_sums_[i] += sums_[i];
        done += part;
    }
    for (std::size_t x = 0; x < columns_.size(); ++x)
        target[x] = area::exact_mean(large_sums_.data(), columns_[x], rows.count);
}

}  // namespace teleglyph
