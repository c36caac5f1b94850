// How cells become characters: colours, use of the character cell, glyphs.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cells.hpp"
#include "tables.hpp"

namespace teleglyph {

enum class ColorLevel : std::uint8_t { none, ansi16, ansi256, truecolor };
enum class RenderMode : std::uint8_t { foreground, background, half_block, quadrant, sextant, braille, shape };
inline constexpr unsigned kRenderModes = 7;

// Shade of a transparent cell, one past the luminances 0 to 255.
inline constexpr std::uint16_t kBlankShade = 256;

// One character in UTF-8.
struct Glyph {
    char bytes[4];
    std::uint16_t length;
    std::uint16_t blank;  // 1 for the space, which looks the same in every foreground colour
};

// Immutable; shared by any number of threads.
class Style {
public:
    // `characters` run from dark to light: 1 to 255 of them, each one character in UTF-8 (1 to 4 bytes).
    // `dithered` mixes 16 and 256 colours in an ordered pattern over neighbouring cells.
    // Throws std::invalid_argument for other characters, or for background mode without colours.
    Style(ColorLevel color, RenderMode render, const std::vector<std::string>& characters, bool dithered);

    ColorLevel color;
    RenderMode render;
    std::array<Glyph, 257> glyphs;  // by luminance; kBlankShade is the space
    std::uint16_t widest_glyph;     // bytes
    const IndexedColors* indexed;   // set for 16 and 256 colours
    std::uint32_t darkness;         // limit for is_dark(); 0 if foreground mode and the first glyph is not a space
    bool dithered;

    // Columns of cells in one column of characters.
    std::uint32_t subcolumns() const noexcept { return render >= RenderMode::quadrant ? 2 : 1; }

    // Rows of cells in one row of characters.
    std::uint32_t subrows() const noexcept {
        switch (render) {
            case RenderMode::foreground:
            case RenderMode::background: return 1;
            case RenderMode::half_block:
            case RenderMode::quadrant: return 2;
            case RenderMode::sextant:
            case RenderMode::shape: return 3;
            case RenderMode::braille: return 4;
        }
        return 1;
    }

    // The modes of ACIP, whose frames have emitters of their own.
    bool is_basic() const noexcept { return render <= RenderMode::half_block && !dithered; }
};

}  // namespace teleglyph
