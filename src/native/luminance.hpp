// Luminance of cells, and the ordered pattern that makes few levels look like many.
#pragma once

#include <cstdint>

#include "cells.hpp"

namespace teleglyph {

// Y = (77 R + 150 G + 29 B + 128) >> 8, the weights of ITU-R BT.601; white is exactly 255.
__attribute__((always_inline)) inline std::uint32_t luminance(Cell cell) noexcept {
    return ((cell & 0xFF) * 77 + (cell >> 8 & 0xFF) * 150 + (cell >> 16 & 0xFF) * 29 + 128) >> 8;
}

// Where coverage shows light, dark parts count as black: the smallest glyph is much brighter than a dark corner, which
// noise would otherwise fill with dots. A channel of at least 128 is a visible colour, such as a deep blue, at any
// luminance.
inline constexpr std::uint32_t kDarkDots = 48;    // dots and blocks, of which few in a pattern are a dark grey
inline constexpr std::uint32_t kDarkShapes = 64;  // characters of ASCII, and any in 16 colours, which are bright ones
inline constexpr std::uint32_t kDarkGlyphs = 29;  // where the standard palette begins

__attribute__((always_inline)) inline bool is_dark(Cell cell, std::uint32_t shade, std::uint32_t limit) noexcept {
    return static_cast<int>(shade < limit) & static_cast<int>((cell & 0x808080U) == 0);
}

// Bayer's 4x4 matrix as thresholds 8, 24, ... 248.
inline constexpr std::uint8_t kThresholds[4][4] = {
    {8, 136, 40, 168},
    {200, 72, 232, 104},
    {56, 184, 24, 152},
    {248, 120, 216, 88},
};

}  // namespace teleglyph
