// The persistent picture of one view: everything drawn stays until it is drawn over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "area.hpp"
#include "cells.hpp"
#include "grid.hpp"
#include "style.hpp"

namespace teleglyph {

// A picture and the rectangle it fills, in character cells; mirrored, its left is on the right.
struct Draw {
    Picture picture;
    std::uint32_t x, y, width, height;
    bool mirrored = false;
};

// Any thread may call; calls on one canvas wait for each other.
class Canvas {
public:
    // Throws std::invalid_argument unless the sizes are within the limits of cells.hpp, subcolumns is 1 or 2, and
    // subrows 1 to 4.
    Canvas(std::int64_t columns, std::int64_t rows, std::int64_t subcolumns, std::int64_t subrows);

    std::uint32_t columns() const noexcept { return columns_; }
    std::uint32_t rows() const noexcept { return rows_; }
    std::uint32_t subcolumns() const noexcept { return subcolumns_; }
    std::uint32_t subrows() const noexcept { return subrows_; }

    // Make everything transparent.
    void clear();

    // Throws std::invalid_argument if the rectangle is empty or leaves the canvas, or the picture is empty or too
    // large.
    void check(const Draw& draw) const;

    // Throws std::invalid_argument if the style does not divide a character as this canvas does.
    void check(const Style& style) const;

    // Scale the pictures in and write the whole canvas as text to `out`, which has frame_bound() bytes. Arguments have
    // passed check(); the style is basic. Returns the length.
    std::size_t render(std::span<const Draw> draws, const Style& style, char* out);

    // Scale the pictures in and write the whole canvas to the grid, which has the same size. Arguments have passed
    // check().
    void compose(std::span<const Draw> draws, const Style& style, CharacterGrid& grid);

private:
    void scale(std::span<const Draw> draws);

    std::uint32_t columns_;
    std::uint32_t rows_;
    std::uint32_t subcolumns_;
    std::uint32_t subrows_;
    std::mutex mutex_;  // guards what follows
    std::vector<Cell> cells_;
    AreaScaler scaler_;
};

}  // namespace teleglyph
