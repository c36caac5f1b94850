#include "canvas.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "emit.hpp"

namespace teleglyph {
namespace {

std::string by(std::int64_t width, std::int64_t height) { return std::to_string(width) + "x" + std::to_string(height); }

void check_size(std::int64_t columns, std::int64_t rows, std::int64_t subrows) {
    if (columns < 1 || rows < 1 || columns > kMaxColumns || rows > kMaxRows ||
        columns * rows > kMaxCharacters)
        throw std::invalid_argument("a canvas has 1 to " + std::to_string(kMaxColumns) +
                                    " columns and rows and at most " + std::to_string(kMaxCharacters) +
                                    " characters, not " + by(columns, rows));
    if (subrows != 1 && subrows != 2)
        throw std::invalid_argument("a canvas has 1 or 2 subrows, not " + std::to_string(subrows));
}

}  // namespace

Canvas::Canvas(std::int64_t columns, std::int64_t rows, std::int64_t subrows)
    : columns_(static_cast<std::uint32_t>(columns)),
      rows_(static_cast<std::uint32_t>(rows)),
      subrows_(static_cast<std::uint32_t>(subrows)) {
    check_size(columns, rows, subrows);
    cells_.assign(static_cast<std::size_t>(columns * rows * subrows), kTransparent);
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
    if (style.subrows() != subrows_)
        throw std::invalid_argument("the style draws " + std::to_string(style.subrows()) +
                                    " cells above each other in a character, the canvas has " +
                                    std::to_string(subrows_));
}

std::size_t Canvas::render(std::span<const Draw> draws, const Style& style, char* out) {
    const std::lock_guard lock(mutex_);
    for (const Draw& draw : draws) {
        Cell* target = cells_.data() + static_cast<std::size_t>(draw.y) * subrows_ * columns_ + draw.x;
        scaler_.scale(draw.picture, target, columns_, draw.width, draw.height * subrows_);
    }
    return emit_frame({cells_.data(), columns_, rows_ * subrows_}, style, out);
}

}  // namespace teleglyph
