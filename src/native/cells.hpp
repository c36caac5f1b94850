// The two kinds of pictures in the core: packed RGB as input, cells to draw on.
#pragma once

#include <cstddef>
#include <cstdint>

namespace teleglyph {

// One averaged colour: R | G << 8 | B << 16 | 0xFF << 24. The value 0 means transparent: nothing was drawn there.
using Cell = std::uint32_t;

inline constexpr Cell kOpaque = 0xFF000000U;
inline constexpr Cell kTransparent = 0;

inline constexpr std::uint32_t kMaxColumns = 4096;
inline constexpr std::uint32_t kMaxRows = 4096;
inline constexpr std::uint32_t kMaxCharacters = 1U << 20;  // columns * rows; bounds a frame to about 40 MB
inline constexpr std::uint32_t kMaxSourceSide = 8192;

// Borrowed RGB24 pixels, rows without gaps: 3 * width * height bytes.
struct Picture {
    const std::uint8_t* pixels;
    std::uint32_t width;
    std::uint32_t height;
};

// Borrowed cells of a canvas whose characters are one cell wide: `lines` rows of `columns` cells without gaps.
struct CellGrid {
    const Cell* cells;
    std::uint32_t columns;
    std::uint32_t lines;
};

}  // namespace teleglyph
