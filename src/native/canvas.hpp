// The persistent picture of one view: what has been drawn stays until it is drawn over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "area.hpp"
#include "cells.hpp"
#include "style.hpp"

namespace teleglyph {

// A picture and the rectangle it fills, in character cells.
struct Draw {
    Picture picture;
    std::uint32_t x, y, width, height;
};

// Any thread may call; calls on one canvas wait for each other.
class Canvas {
public:
    // Throws std::invalid_argument unless the sizes are within the limits of cells.hpp and subrows is 1 or 2.
    Canvas(std::int64_t columns, std::int64_t rows, std::int64_t subrows);

    std::uint32_t columns() const noexcept { return columns_; }
    std::uint32_t rows() const noexcept { return rows_; }
    std::uint32_t subrows() const noexcept { return subrows_; }

    // Make everything transparent.
    void clear();

    // Throws std::invalid_argument if the rectangle is empty or leaves the canvas, or the picture is empty or too
    // large.
    void check(const Draw& draw) const;

    // Throws std::invalid_argument if the style does not use as many subrows as this canvas has.
    void check(const Style& style) const;

    // Scale the pictures in and write the whole canvas as text to `out`, which has frame_bound() bytes. Arguments have
    // passed check(). Returns the length.
    std::size_t render(std::span<const Draw> draws, const Style& style, char* out);

private:
    std::uint32_t columns_;
    std::uint32_t rows_;
    std::uint32_t subrows_;
    std::mutex mutex_;  // guards what follows
    std::vector<Cell> cells_;
    AreaScaler scaler_;
};

}  // namespace teleglyph
