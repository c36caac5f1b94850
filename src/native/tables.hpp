// Constant tables of the emitters: decimal texts, SGR sequences, nearest palette colours.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "cells.hpp"

namespace teleglyph {

// A short text that is copied whole and then advanced over by its length: one fixed-size store, no loop.
struct Text {
    char bytes[15];
    std::uint8_t length;
};
static_assert(sizeof(Text) == 16);

// "0;" ... "255;", or the same with another last character.
struct Decimal {
    char bytes[4];
    std::uint32_t length;
};

using Decimals = std::array<Decimal, 256>;

constexpr Decimals make_decimals(char last) {
    Decimals decimals{};
    for (unsigned value = 0; value < 256; ++value) {
        Decimal& decimal = decimals[value];
        if (value >= 100) decimal.bytes[decimal.length++] = static_cast<char>('0' + value / 100);
        if (value >= 10) decimal.bytes[decimal.length++] = static_cast<char>('0' + value / 10 % 10);
        decimal.bytes[decimal.length++] = static_cast<char>('0' + value % 10);
        decimal.bytes[decimal.length++] = last;
    }
    return decimals;
}

inline constexpr Decimals kDecimalSemicolon = make_decimals(';');
inline constexpr Decimals kDecimalEnd = make_decimals('m');

// Index of a cell without colour, one past the last palette colour.
inline constexpr std::uint16_t kNoColor = 256;

// A terminal palette of 16 or 256 colours.
struct IndexedColors {
    // Nearest palette index by the upper five bits of each channel: red << 10 | green << 5 | blue.
    std::array<std::uint8_t, 32768> nearest;

    // SGR parameters by index. Only what follows ESC [ differs: "38;5;9m", or "38;5;9;" if a background follows.
    // The entry kNoColor of `background` selects the default background; that of the others is empty.
    std::array<Text, 257> foreground;
    std::array<Text, 257> foreground_open;
    std::array<Text, 257> background;

    std::uint16_t index_of(Cell cell) const noexcept {
        if (cell == kTransparent) return kNoColor;
        return nearest[(cell & 0xF8U) << 7 | (cell >> 6 & 0x3E0U) | (cell >> 19 & 0x1FU)];
    }
};

// xterm's fixed colours 16 to 255: a 6x6x6 cube with the levels 0, 95, 135, 175, 215, 255, and 24 greys 8 + 10 i.
// The colours 0 to 15 are never used, because users redefine them.
const IndexedColors& colors_256();

// The 16 colours of ECMA-48 terminals with the values that xterm gives them. SGR 30-37 and 90-97, backgrounds 40-47 and
// 100-107.
const IndexedColors& colors_16();

}  // namespace teleglyph
