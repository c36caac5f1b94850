// One character of a screen with its colours, and how different two colours look.
#pragma once

#include <cstdint>
#include <cstring>

#include "cells.hpp"

namespace teleglyph {

// A colour on a terminal. 0 is the terminal's own; kOpaque | R | G << 8 | B << 16 a colour of 24 bits, as in Cell;
// kIndexed | i an entry of the palette.
using Color = std::uint32_t;

inline constexpr Color kDefaultColor = 0;
inline constexpr Color kIndexed = 0x01000000U;

enum class ColorKind : std::uint8_t { standard, indexed, direct };

inline ColorKind kind_of(Color color) noexcept {
    if (color == kDefaultColor) return ColorKind::standard;
    return (color & kOpaque) == kOpaque ? ColorKind::direct : ColorKind::indexed;
}

// The right half of a glyph that is two columns wide.
inline constexpr std::uint32_t kContinuation = 0;

// `look` of a character that only equals itself: text, and places where nothing is drawn.
inline constexpr std::uint32_t kExactLook = 0;

// On the receiving side: the glyph is two columns wide.
inline constexpr std::uint32_t kWideLook = 0x40000000U;

// One place on a screen. Before it is sent, `foreground` and `background` are the picture's own colours, which the
// terminal may be unable to show; `look` says how the glyph shows the parts of the cell (see compose.hpp). On the
// receiving side the colours are the terminal's, and `look` is kWideLook or kExactLook.
struct Character {
    Color foreground;
    Color background;
    std::uint32_t glyph;  // code point, or kContinuation
    std::uint32_t look;

    bool operator==(const Character& other) const noexcept {
        return foreground == other.foreground && background == other.background && glyph == other.glyph;
    }
};
static_assert(sizeof(Character) == 16);

inline constexpr Character kBlank{kDefaultColor, kDefaultColor, U' ', kExactLook};

// How different two colours look: 2 dR^2 + 4 dG^2 + dB^2. 30 is about two levels in each channel, 200 five, 800 ten.
inline std::int32_t difference(Color one, Color other) noexcept {
    const auto channel = [](Color color, unsigned shift) { return static_cast<std::int32_t>(color >> shift & 0xFF); };
    const std::int32_t red = channel(one, 0) - channel(other, 0);
    const std::int32_t green = channel(one, 8) - channel(other, 8);
    const std::int32_t blue = channel(one, 16) - channel(other, 16);
    return 2 * red * red + 4 * green * green + blue * blue;
}

// Whether the glyph is one column wide in every terminal. The two squares left out are emoji, and wide.
inline bool is_surely_narrow(std::uint32_t glyph) noexcept {
    return (glyph >= 0x20 && glyph < 0x7F) ||
           (glyph >= 0x2500 && glyph < 0x2600 && glyph != 0x25FD && glyph != 0x25FE) ||
           (glyph >= 0x2800 && glyph < 0x2900) || (glyph >= 0x1FB00 && glyph < 0x1FB3C);
}

// Writes a code point as UTF-8 and returns its length. Always stores four bytes.
inline std::size_t put_utf8(char* out, std::uint32_t glyph) noexcept {
    char bytes[4] = {};
    std::size_t length = 1;
    if (glyph < 0x80) {
        bytes[0] = static_cast<char>(glyph);
    } else if (glyph < 0x800) {
        bytes[0] = static_cast<char>(0xC0 | glyph >> 6);
        bytes[1] = static_cast<char>(0x80 | (glyph & 0x3F));
        length = 2;
    } else if (glyph < 0x10000) {
        bytes[0] = static_cast<char>(0xE0 | glyph >> 12);
        bytes[1] = static_cast<char>(0x80 | (glyph >> 6 & 0x3F));
        bytes[2] = static_cast<char>(0x80 | (glyph & 0x3F));
        length = 3;
    } else {
        bytes[0] = static_cast<char>(0xF0 | glyph >> 18);
        bytes[1] = static_cast<char>(0x80 | (glyph >> 12 & 0x3F));
        bytes[2] = static_cast<char>(0x80 | (glyph >> 6 & 0x3F));
        bytes[3] = static_cast<char>(0x80 | (glyph & 0x3F));
        length = 4;
    }
    std::memcpy(out, bytes, sizeof bytes);
    return length;
}

// The code point of a Glyph's bytes, which are valid UTF-8.
inline std::uint32_t code_point(const char* bytes, std::size_t length) noexcept {
    const auto byte = [bytes](std::size_t i) {
        return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i]));
    };
    switch (length) {
        case 1: return byte(0);
        case 2: return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
        case 3: return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
        default: return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
    }
}

}  // namespace teleglyph
