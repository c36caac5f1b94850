#include "compose.hpp"

#include <array>
#include <cstddef>

#include "luminance.hpp"
#include "partition.hpp"
#include "shape.hpp"

namespace teleglyph {

const std::uint32_t kQuadrants[16] = {U' ',   0x2598, 0x259D, 0x2580, 0x2596, 0x258C, 0x259E, 0x259B,
                                      0x2597, 0x259A, 0x2590, 0x259C, 0x2584, 0x2599, 0x259F, 0x2588};

namespace {

constexpr std::array<std::uint32_t, 64> make_sextants() {
    // The block of sextants leaves out what was there before: nothing, the left and the right half, everything.
    constexpr unsigned left = 0x15, right = 0x2A, full = 0x3F;
    std::array<std::uint32_t, 64> glyphs{};
    for (unsigned mask = 0; mask < 64; ++mask)
        glyphs[mask] = 0x1FB00 + mask - 1 - (mask > left ? 1 : 0) - (mask > right ? 1 : 0);
    glyphs[0] = U' ';
    glyphs[left] = 0x258C;
    glyphs[right] = 0x2590;
    glyphs[full] = 0x2588;
    return glyphs;
}
constexpr std::array<std::uint32_t, 64> kSextants = make_sextants();

}  // namespace

std::uint32_t sextant(unsigned mask) noexcept { return kSextants[mask]; }

namespace {

constexpr std::uint32_t kUpperHalf = 0x2580;
constexpr std::uint32_t kMaxShades = 7;

std::uint32_t glyph_of(const Style& style, std::uint32_t shade) noexcept {
    const Glyph& glyph = style.glyphs[shade];
    return code_point(glyph.bytes, glyph.length);
}

// The parts of one character, gathered from the lines of its row.
template <unsigned Columns, unsigned Rows>
struct Parts {
    Cell cells[Columns * Rows];

    Parts(const Cell* lines, std::size_t stride) noexcept {
        for (unsigned y = 0; y < Rows; ++y)
            for (unsigned x = 0; x < Columns; ++x) cells[y * Columns + x] = lines[y * stride + x];
    }
};

template <std::size_t Count>
Cell mean_of(const Cell (&cells)[Count]) noexcept {
    std::uint32_t red = 0, green = 0, blue = 0;
    for (const Cell cell : cells) {
        red += cell & 0xFF;
        green += cell >> 8 & 0xFF;
        blue += cell >> 16 & 0xFF;
    }
    constexpr std::uint32_t half = Count / 2;
    return kOpaque | (blue + half) / Count << 16 | (green + half) / Count << 8 | (red + half) / Count;
}

// A colour at full brightness: glyphs that show luminance by their coverage would otherwise show it twice.
Cell stretched(Cell cell) noexcept {
    constexpr std::uint32_t darkest = 8;
    const std::uint32_t red = cell & 0xFF, green = cell >> 8 & 0xFF, blue = cell >> 16 & 0xFF;
    std::uint32_t most = red > green ? red : green;
    most = most > blue ? most : blue;
    most = most > darkest ? most : darkest;
    const std::uint32_t scale = (255U << 16) / most;
    return kOpaque | (blue * scale >> 16) << 16 | (green * scale >> 16) << 8 | red * scale >> 16;
}

template <std::size_t Count>
struct Shades {
    std::uint32_t luminances[Count];
    std::uint32_t mean;
    std::uint32_t look;

    explicit Shades(const Cell (&cells)[Count]) noexcept : mean(0), look(kShadeLook) {
        for (std::size_t i = 0; i < Count; ++i) {
            luminances[i] = luminance(cells[i]);
            mean += luminances[i];
            if (i < kMaxShades) look |= (luminances[i] >> 4) << (4 * i);
        }
        mean /= Count;
    }
};

// The least luminance of a part that is lit, in a character of this mean colour: see is_dark().
std::uint32_t least_shown(Cell mean, std::uint32_t darkness) noexcept { return is_dark(mean, 0, 1) ? darkness : 9; }

// --- one function for each mode: parts to a character ---------------------------------------------------------------

Character foreground_of(Cell cell, const Style& style) noexcept {
    const std::uint32_t shade = luminance(cell);
    const bool is_blank = is_dark(cell, shade, style.darkness);
    return {cell, kDefaultColor, glyph_of(style, is_blank ? kBlankShade : shade), kPlainLook};
}

Character half_of(Cell upper, Cell lower) noexcept { return {upper, lower, kUpperHalf, kBlockLook | 1}; }

Character quadrant_of(const Cell (&cells)[4]) noexcept {
    const Partition best = partition4(cells);
    return {best.foreground, best.background, kQuadrants[best.mask], kBlockLook | best.mask};
}

Character sextant_of(const Cell (&cells)[6]) noexcept {
    const Partition best = partition6(cells);
    return {best.foreground, best.background, sextant(best.mask), kBlockLook | best.mask};
}

// The lit parts. The thresholds follow the cell's own mean a little, so that edges stay sharp.
template <std::size_t Count>
unsigned lit_parts(const Shades<Count>& shades, std::uint32_t x, std::uint32_t y, unsigned columns,
                   std::uint32_t least) noexcept {
    const unsigned rows = static_cast<unsigned>(Count) / columns;
    unsigned mask = 0;
    for (unsigned i = 0; i < Count; ++i) {
        const std::uint32_t bayer = kThresholds[(y * rows + i / columns) % 4][(x * columns + i % columns) % 4];
        const std::uint32_t threshold = (shades.mean + 3 * bayer) / 4;
        if (shades.luminances[i] >= threshold && shades.luminances[i] >= least) mask |= 1U << i;
    }
    return mask;
}

// Braille patterns by their lit dots, row by row. Some fonts draw the pattern without dots as eight hollow ones.
constexpr std::array<std::uint32_t, 256> make_braille() {
    constexpr std::uint32_t dots[8] = {0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80};
    std::array<std::uint32_t, 256> glyphs{};
    for (unsigned mask = 1; mask < 256; ++mask) {
        glyphs[mask] = 0x2800;
        for (unsigned i = 0; i < 8; ++i)
            if ((mask >> i & 1) != 0) glyphs[mask] |= dots[i];
    }
    glyphs[0] = U' ';
    return glyphs;
}
constexpr std::array<std::uint32_t, 256> kBraille = make_braille();

Character braille_of(const Cell (&cells)[8], std::uint32_t x, std::uint32_t y, std::uint32_t darkness) noexcept {
    const Shades<8> shades(cells);
    const Cell mean = mean_of(cells);
    const unsigned mask = lit_parts(shades, x, y, 2, least_shown(mean, darkness));
    return {stretched(mean), kDefaultColor, kBraille[mask], shades.look};
}

Character shape_of(const Cell (&cells)[6], const ShapeTable& table) noexcept {
    const Shades<6> shades(cells);
    unsigned key = 0;
    for (unsigned i = 0; i < 6; ++i) key |= (shades.luminances[i] >> 5) << (3 * i);
    // Levels of 0 and 1 only.
    constexpr unsigned above = 0666666;
    static_assert(kDarkShapes == 2U << 5);
    const Cell mean = mean_of(cells);
    if ((key & above) == 0) [[unlikely]]
        key = is_dark(mean, 0, 1) ? 0 : key;
    const auto glyph = static_cast<unsigned char>(table[key]);
    return {stretched(mean), kDefaultColor, glyph, shades.look};
}

// Blocks without colours: lit parts are filled.
template <std::size_t Count>
Character plain_block_of(const Cell (&cells)[Count], std::uint32_t x, std::uint32_t y, unsigned columns) noexcept {
    const Shades<Count> shades(cells);
    unsigned mask = 0;
    if constexpr (Count == 2) {
        for (unsigned i = 0; i < Count; ++i)
            if (shades.luminances[i] >= kThresholds[(2 * y + i) % 4][x % 4] &&
                !is_dark(cells[i], shades.luminances[i], kDarkDots))
                mask |= 1U << i;
        mask = (mask & 1) * 3 | (mask >> 1) * 12;  // both quadrants of a half
    } else {
        mask = lit_parts(shades, x, y, columns, kDarkDots);
    }
    const std::uint32_t glyph = Count == 6 ? sextant(mask) : kQuadrants[mask];
    return {mean_of(cells), kDefaultColor, glyph, shades.look};
}

// Calls make(parts, x, y) for every character that is drawn on.
template <unsigned Columns, unsigned Rows, typename Make>
void each(const Cell* cells, std::uint32_t columns, std::uint32_t rows, Character* out, Make make) noexcept {
    const std::size_t stride = static_cast<std::size_t>(columns) * Columns;
    for (std::uint32_t y = 0; y < rows; ++y, cells += Rows * stride) {
        for (std::uint32_t x = 0; x < columns; ++x, ++out) {
            const Parts<Columns, Rows> parts(cells + static_cast<std::size_t>(x) * Columns, stride);
            *out = parts.cells[0] == kTransparent ? kBlank : make(parts.cells, x, y);
        }
    }
}

}  // namespace

void compose(const Cell* cells, std::uint32_t columns, std::uint32_t rows, const Style& style,
             Character* out) noexcept {
    const bool plain = style.color == ColorLevel::none;
    using X = std::uint32_t;
    switch (style.render) {
        case RenderMode::foreground:
            each<1, 1>(cells, columns, rows, out,
                       [&](const auto& parts, X, X) { return foreground_of(parts[0], style); });
            break;
        case RenderMode::background:
            each<1, 1>(cells, columns, rows, out,
                       [](const auto& parts, X, X) { return Character{kDefaultColor, parts[0], U' ', kPlainLook}; });
            break;
        case RenderMode::half_block:
            if (plain)
                each<1, 2>(cells, columns, rows, out,
                           [](const auto& parts, X x, X y) { return plain_block_of(parts, x, y, 1); });
            else
                each<1, 2>(cells, columns, rows, out,
                           [](const auto& parts, X, X) { return half_of(parts[0], parts[1]); });
            break;
        case RenderMode::quadrant:
            if (plain)
                each<2, 2>(cells, columns, rows, out,
                           [](const auto& parts, X x, X y) { return plain_block_of(parts, x, y, 2); });
            else
                each<2, 2>(cells, columns, rows, out, [](const auto& parts, X, X) { return quadrant_of(parts); });
            break;
        case RenderMode::sextant:
            if (plain)
                each<2, 3>(cells, columns, rows, out,
                           [](const auto& parts, X x, X y) { return plain_block_of(parts, x, y, 2); });
            else
                each<2, 3>(cells, columns, rows, out, [](const auto& parts, X, X) { return sextant_of(parts); });
            break;
        case RenderMode::braille:
            each<2, 4>(cells, columns, rows, out,
                       [&](const auto& parts, X x, X y) { return braille_of(parts, x, y, style.darkness); });
            break;
        case RenderMode::shape:
            each<2, 3>(cells, columns, rows, out,
                       [&table = shape_table()](const auto& parts, X, X) { return shape_of(parts, table); });
            break;
    }
}

}  // namespace teleglyph
