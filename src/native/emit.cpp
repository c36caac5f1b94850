#include "emit.hpp"

#include <cstring>

#include "luminance.hpp"
#include "simd.hpp"

// Every store below has a fixed size and may write beyond the text it stands for; the next store overwrites the rest.
// frame_bound() leaves room for the last of them.

namespace teleglyph {
namespace {

constexpr std::size_t kStoreSlack = 32;

template <std::size_t N>
inline char* put(char* out, const char (&text)[N]) noexcept {
    std::memcpy(out, text, N - 1);
    return out + N - 1;
}

inline char* put(char* out, const Glyph& glyph) noexcept {
    std::memcpy(out, glyph.bytes, sizeof glyph.bytes);
    return out + glyph.length;
}

// Writes "R;G;B" and the character that ends the decimals in `last`.
inline char* put_rgb(char* out, Cell color, const Decimals& last) noexcept {
    const Decimal& red = kDecimalSemicolon[color & 0xFF];
    const Decimal& green = kDecimalSemicolon[color >> 8 & 0xFF];
    const Decimal& blue = last[color >> 16 & 0xFF];
    const std::size_t after_red = red.length;
    const std::size_t after_green = after_red + green.length;
    std::memcpy(out, red.bytes, 4);
    std::memcpy(out + after_red, green.bytes, 4);
    std::memcpy(out + after_green, blue.bytes, 4);
    return out + after_green + blue.length;
}

inline char* put_reset(char* out) noexcept { return put(out, "\x1b[0m"); }

// --- first pass over a row: luminances or palette indices -----------------------------------------------------------

__attribute__((always_inline)) inline void shade_cells(const Cell* cells, std::uint32_t columns, std::uint32_t darkness,
                                                       std::uint16_t* shades) noexcept {
    for (std::uint32_t x = 0; x < columns; ++x) {
        const std::uint32_t shade = luminance(cells[x]);
        const bool is_blank =
            static_cast<int>(cells[x] == kTransparent) | static_cast<int>(is_dark(cells[x], shade, darkness));
        shades[x] = static_cast<std::uint16_t>(is_blank ? kBlankShade : shade);
    }
}

#if TELEGLYPH_HAS_AVX2
TELEGLYPH_AVX2 void shade_row_avx2(const Cell* cells, std::uint32_t columns, std::uint32_t darkness,
                                   std::uint16_t* shades) noexcept {
    shade_cells(cells, columns, darkness, shades);
}
#endif

// Luminances, or kBlankShade where nothing is drawn or nothing but darkness.
void shade_row(const Cell* cells, std::uint32_t columns, std::uint32_t darkness, std::uint16_t* shades) noexcept {
#if TELEGLYPH_HAS_AVX2
    if (use_avx2()) {
        shade_row_avx2(cells, columns, darkness, shades);
        return;
    }
#endif
    shade_cells(cells, columns, darkness, shades);
}

void index_row(const Cell* cells, std::uint32_t columns, const IndexedColors& colors, std::uint16_t* indices) noexcept {
    for (std::uint32_t x = 0; x < columns; ++x) indices[x] = colors.index_of(cells[x]);
}

// --- emitters: each writes all rows and returns the end -------------------------------------------------------------

char* emit_plain(const CellGrid& grid, const Style& style, char* out) noexcept {
    std::uint16_t shades[kMaxColumns];
    const Cell* row = grid.cells;
    for (std::uint32_t y = 0; y < grid.lines; ++y, row += grid.columns) {
        if (y > 0) *out++ = '\n';
        shade_row(row, grid.columns, style.darkness, shades);
        if (style.widest_glyph == 1) {
            for (std::uint32_t x = 0; x < grid.columns; ++x) out[x] = style.glyphs[shades[x]].bytes[0];
            out += grid.columns;
        } else {
            for (std::uint32_t x = 0; x < grid.columns; ++x) out = put(out, style.glyphs[shades[x]]);
        }
    }
    return out;
}

char* emit_foreground_truecolor(const CellGrid& grid, const Style& style, char* out) noexcept {
    std::uint16_t shades[kMaxColumns];
    const Cell* row = grid.cells;
    Cell current = kTransparent;  // no colour set yet
    for (std::uint32_t y = 0; y < grid.lines; ++y, row += grid.columns) {
        if (y > 0) *out++ = '\n';
        shade_row(row, grid.columns, style.darkness, shades);
        for (std::uint32_t x = 0; x < grid.columns; ++x) {
            const Glyph& glyph = style.glyphs[shades[x]];
            if (row[x] != current && glyph.blank == 0) {
                current = row[x];
                out = put_rgb(put(out, "\x1b[38;2;"), current, kDecimalEnd);
            }
            out = put(out, glyph);
        }
    }
    return current == kTransparent ? out : put_reset(out);
}

char* emit_foreground_indexed(const CellGrid& grid, const Style& style, char* out) noexcept {
    std::uint16_t shades[kMaxColumns];
    std::uint16_t indices[kMaxColumns];
    const Cell* row = grid.cells;
    std::uint16_t current = kNoColor;
    for (std::uint32_t y = 0; y < grid.lines; ++y, row += grid.columns) {
        if (y > 0) *out++ = '\n';
        shade_row(row, grid.columns, style.darkness, shades);
        index_row(row, grid.columns, *style.indexed, indices);
        for (std::uint32_t x = 0; x < grid.columns; ++x) {
            const Glyph& glyph = style.glyphs[shades[x]];
            // Palette colours change too irregularly for branches: always store, advance only on a change.
            const std::size_t changed = static_cast<std::size_t>(indices[x] != current) & (glyph.blank ^ 1U);
            const Text& color = style.indexed->foreground[indices[x]];
            std::memcpy(out, "\x1b[", 2);
            std::memcpy(out + 2, &color, sizeof color);
            out += changed * (2U + color.length);
            current = changed != 0 ? indices[x] : current;
            out = put(out, glyph);
        }
    }
    return current == kNoColor ? out : put_reset(out);
}

char* emit_background_truecolor(const CellGrid& grid, char* out) noexcept {
    const Cell* row = grid.cells;
    for (std::uint32_t y = 0; y < grid.lines; ++y, row += grid.columns) {
        if (y > 0) *out++ = '\n';
        Cell current = kTransparent;
        for (std::uint32_t x = 0; x < grid.columns; ++x) {
            if (row[x] != current) {
                current = row[x];
                out = current == kTransparent ? put(out, "\x1b[49m")
                                              : put_rgb(put(out, "\x1b[48;2;"), current, kDecimalEnd);
            }
            *out++ = ' ';
        }
        if (current != kTransparent) out = put_reset(out);
    }
    return out;
}

char* emit_background_indexed(const CellGrid& grid, const IndexedColors& colors, char* out) noexcept {
    std::uint16_t indices[kMaxColumns];
    const Cell* row = grid.cells;
    for (std::uint32_t y = 0; y < grid.lines; ++y, row += grid.columns) {
        if (y > 0) *out++ = '\n';
        index_row(row, grid.columns, colors, indices);
        std::uint16_t current = kNoColor;
        for (std::uint32_t x = 0; x < grid.columns; ++x) {
            const Text& color = colors.background[indices[x]];
            std::memcpy(out, "\x1b[", 2);
            std::memcpy(out + 2, &color, sizeof color);
            out += indices[x] != current ? 2U + color.length : 0U;
            current = indices[x];
            *out++ = ' ';
        }
        if (current != kNoColor) out = put_reset(out);
    }
    return out;
}

constexpr Glyph kUpperHalf{{'\xe2', '\x96', '\x80', 0}, 3, 0};
constexpr Glyph kSpace{{' ', 0, 0, 0}, 1, 1};

// The upper half takes the foreground colour, the lower half the background. Equal halves need only the background.
char* emit_half_truecolor(const CellGrid& grid, char* out) noexcept {
    const Cell* upper = grid.cells;
    for (std::uint32_t y = 0; y < grid.lines; y += 2, upper += 2 * static_cast<std::size_t>(grid.columns)) {
        if (y > 0) *out++ = '\n';
        const Cell* lower = upper + grid.columns;
        Cell foreground = kTransparent;
        Cell background = kTransparent;
        for (std::uint32_t x = 0; x < grid.columns; ++x) {
            const bool split = upper[x] != lower[x];
            const bool new_foreground = split && upper[x] != foreground;
            const bool new_background = lower[x] != background;
            if (new_foreground && new_background) {
                out = put_rgb(put(out, "\x1b[38;2;"), upper[x], kDecimalSemicolon);
                out = put_rgb(put(out, "48;2;"), lower[x], kDecimalEnd);
            } else if (new_foreground) {
                out = put_rgb(put(out, "\x1b[38;2;"), upper[x], kDecimalEnd);
            } else if (new_background) {
                out = lower[x] == kTransparent ? put(out, "\x1b[49m")
                                               : put_rgb(put(out, "\x1b[48;2;"), lower[x], kDecimalEnd);
            }
            foreground = split ? upper[x] : foreground;
            background = lower[x];
            out = put(out, split ? kUpperHalf : kSpace);
        }
        if (foreground != kTransparent || background != kTransparent) out = put_reset(out);
    }
    return out;
}

char* emit_half_indexed(const CellGrid& grid, const IndexedColors& colors, char* out) noexcept {
    std::uint16_t upper[kMaxColumns];
    std::uint16_t lower[kMaxColumns];
    const std::array<Text, 257>* const foreground_texts[2] = {&colors.foreground, &colors.foreground_open};
    const Glyph glyphs[2] = {kSpace, kUpperHalf};
    const Cell* row = grid.cells;
    for (std::uint32_t y = 0; y < grid.lines; y += 2, row += 2 * static_cast<std::size_t>(grid.columns)) {
        if (y > 0) *out++ = '\n';
        index_row(row, grid.columns, colors, upper);
        index_row(row + grid.columns, grid.columns, colors, lower);
        std::uint16_t foreground = kNoColor;
        std::uint16_t background = kNoColor;
        for (std::uint32_t x = 0; x < grid.columns; ++x) {
            const std::size_t split = upper[x] != lower[x] ? 1 : 0;
            const std::size_t new_foreground = split & static_cast<std::size_t>(upper[x] != foreground);
            const std::size_t new_background = lower[x] != background ? 1 : 0;
            const Text& first = (*foreground_texts[new_background])[upper[x]];
            const Text& second = colors.background[lower[x]];
            std::memcpy(out, "\x1b[", 2);
            out += 2 * (new_foreground | new_background);
            std::memcpy(out, &first, sizeof first);
            out += new_foreground * first.length;
            std::memcpy(out, &second, sizeof second);
            out += new_background * second.length;
            foreground = new_foreground != 0 ? upper[x] : foreground;
            background = lower[x];
            out = put(out, glyphs[split]);
        }
        if (foreground != kNoColor || background != kNoColor) out = put_reset(out);
    }
    return out;
}

// Ordered dither, so that greys survive with four shapes only.
inline bool lit(std::uint16_t shade, std::uint32_t x, std::uint32_t line) noexcept {
    return shade != kBlankShade && shade >= kThresholds[line % 4][x % 4];
}

char* emit_half_plain(const CellGrid& grid, char* out) noexcept {
    // By upper half lit + 2 * lower half lit.
    constexpr Glyph shapes[4] = {
        kSpace, kUpperHalf, {{'\xe2', '\x96', '\x84', 0}, 3, 0}, {{'\xe2', '\x96', '\x88', 0}, 3, 0}};
    std::uint16_t upper[kMaxColumns];
    std::uint16_t lower[kMaxColumns];
    const Cell* row = grid.cells;
    for (std::uint32_t y = 0; y < grid.lines; y += 2, row += 2 * static_cast<std::size_t>(grid.columns)) {
        if (y > 0) *out++ = '\n';
        shade_row(row, grid.columns, kDarkDots, upper);
        shade_row(row + grid.columns, grid.columns, kDarkDots, lower);
        for (std::uint32_t x = 0; x < grid.columns; ++x) {
            const std::size_t shape = (lit(upper[x], x, y) ? 1 : 0) + (lit(lower[x], x, y + 1) ? 2 : 0);
            out = put(out, shapes[shape]);
        }
    }
    return out;
}

char* emit_rows(const CellGrid& grid, const Style& style, char* out) noexcept {
    switch (style.render) {
        case RenderMode::foreground:
            if (style.color == ColorLevel::none) return emit_plain(grid, style, out);
            if (style.indexed != nullptr) return emit_foreground_indexed(grid, style, out);
            return emit_foreground_truecolor(grid, style, out);
        case RenderMode::background:
            if (style.indexed != nullptr) return emit_background_indexed(grid, *style.indexed, out);
            return emit_background_truecolor(grid, out);
        case RenderMode::half_block:
            if (style.color == ColorLevel::none) return emit_half_plain(grid, out);
            if (style.indexed != nullptr) return emit_half_indexed(grid, *style.indexed, out);
            return emit_half_truecolor(grid, out);
        default: return out;  // not basic: see paint.hpp
    }
}

// Bytes of the longest SGR parameters of one colour, with the character behind them: "38;2;255;255;255m".
std::size_t widest_color(ColorLevel color) noexcept {
    switch (color) {
        case ColorLevel::none: return 0;
        case ColorLevel::ansi16: return 4;
        case ColorLevel::ansi256: return 9;
        case ColorLevel::truecolor: return 17;
    }
    return 17;
}

}  // namespace

std::size_t frame_bound(const Style& style, std::uint32_t columns, std::uint32_t rows) noexcept {
    const std::size_t color = widest_color(style.color);
    std::size_t cell = 0;
    switch (style.render) {
        case RenderMode::foreground: cell = 2 + color + style.widest_glyph; break;
        case RenderMode::background: cell = 2 + color + 1; break;
        default: cell = 2 + 2 * color + 3; break;
    }
    constexpr std::size_t kRowEnd = 5;  // reset and line feed
    return rows * (columns * cell + kRowEnd) + kStoreSlack;
}

std::size_t emit_frame(const CellGrid& grid, const Style& style, char* out) noexcept {
    return static_cast<std::size_t>(emit_rows(grid, style, out) - out);
}

}  // namespace teleglyph
