// Turns the cells of a canvas into characters, with the glyph and the two colours that fit best.
//
// Character::look, by mode:
//   foreground, background                      kPlainLook: the glyph follows from the colours
//   half-blocks, quadrants, sextants in colour  kBlockLook | mask: bit i is set if part i shows the foreground
//   braille, shapes, blocks without colour      kShadeLook | luminances of up to seven parts, four bits each
// Parts are numbered row by row. Where nothing is drawn, look is kExactLook.
#pragma once

#include <cstdint>

#include "cells.hpp"
#include "character.hpp"
#include "style.hpp"

namespace teleglyph {

inline constexpr std::uint32_t kPlainLook = 0x10000000U;
inline constexpr std::uint32_t kBlockLook = 0x20000000U;
inline constexpr std::uint32_t kShadeLook = 0x30000000U;
inline constexpr std::uint32_t kLookKind = 0xF0000000U;

// Writes columns x rows characters of a canvas whose lines of cells have columns * style.subcolumns() cells, and of
// which there are rows * style.subrows(). Either all cells of a character are transparent, or no cell is.
void compose(const Cell* cells, std::uint32_t columns, std::uint32_t rows, const Style& style, Character* out) noexcept;

// The glyph of each mask of 2x2 and of 2x3 parts; bit 0 is the upper left, then row by row.
extern const std::uint32_t kQuadrants[16];
std::uint32_t sextant(unsigned mask) noexcept;

}  // namespace teleglyph
