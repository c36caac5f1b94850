#include "canvas.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "compose.hpp"
#include "emit.hpp"

namespace teleglyph {
namespace {

std::string by(std::int64_t width, std::int64_t height) { return std::to_string(width) + "x" + std::to_string(height); }

void check_parts(std::int64_t subcolumns, std::int64_t subrows) {
    if (subcolumns < 1 || subcolumns > 2 || subrows < 1 || subrows > 4)
        throw std::invalid_argument("a canvas character has 1 or 2 columns and 1 to 4 rows of cells, not " +
                                    by(subcolumns, subrows));
}

}  // namespace

Canvas::Canvas(std::int64_t columns, std::int64_t rows, std::int64_t subcolumns, std::int64_t subrows)
    : columns_(static_cast<std::uint32_t>(columns)),
      rows_(static_cast<std::uint32_t>(rows)),
      subcolumns_(static_cast<std::uint32_t>(subcolumns)),
      subrows_(static_cast<std::uint32_t>(subrows)) {
    check_screen_size(columns, rows);
    check_parts(subcolumns, subrows);
    cells_.assign(static_cast<std::size_t>(columns * rows * subcolumns * subrows), kTransparent);
}

void Canvas::clear() {
    const std::lock_guard lock(mutex_);
    std::fill(cells_.begin(), cells_.end(), kTransparent);
}

void Canvas::check(const Draw& draw) const {
    const Picture& picture = draw.picture;
    if (picture.width < 1 || picture.height < 1 || picture.width > kMaxSourceSide || picture.height > kMaxSourceSide)
        throw std::invalid_argument("a picture has 1 to " + std::to_string(kMaxSourceSide) +
                                    " pixels on each side, not " + by(picture.width, picture.height));
    // Subtracting instead of adding: the sums could overflow.
    if (draw.width < 1 || draw.height < 1 || draw.width > columns_ || draw.height > rows_ ||
        draw.x > columns_ - draw.width || draw.y > rows_ - draw.height)
        throw std::invalid_argument("a rectangle of " + by(draw.width, draw.height) + " cells at column " +
                                    std::to_string(draw.x) + ", row " + std::to_string(draw.y) +
                                    " is not within a canvas of " + by(columns_, rows_));
}

void Canvas::check(const Style& style) const {
    if (style.subcolumns() != subcolumns_ || style.subrows() != subrows_)
        throw std::invalid_argument("the style draws " + by(style.subcolumns(), style.subrows()) +
                                    " cells in a character, the canvas has " + by(subcolumns_, subrows_));
}

void Canvas::scale(std::span<const Draw> draws) {
    const std::size_t stride = static_cast<std::size_t>(columns_) * subcolumns_;
    for (const Draw& draw : draws) {
        Cell* target = cells_.data() + draw.y * subrows_ * stride + draw.x * subcolumns_;
        const std::uint32_t width = draw.width * subcolumns_, height = draw.height * subrows_;
        scaler_.scale(draw.picture, target, stride, width, height);
        if (!draw.mirrored) continue;
        for (std::uint32_t y = 0; y < height; ++y, target += stride) std::reverse(target, target + width);
    }
}

std::size_t Canvas::render(std::span<const Draw> draws, const Style& style, char* out) {
    const std::lock_guard lock(mutex_);
    scale(draws);
    return emit_frame({cells_.data(), columns_, rows_ * subrows_}, style, out);
}

void Canvas::compose(std::span<const Draw> draws, const Style& style, CharacterGrid& grid) {
    const std::lock_guard lock(mutex_);
    scale(draws);
    teleglyph::compose(cells_.data(), columns_, rows_, style, grid.data());
}

}  // namespace teleglyph
