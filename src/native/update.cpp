#include "update.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "compose.hpp"
#include "luminance.hpp"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace teleglyph {
namespace {

constexpr unsigned kKindBits = 4;
constexpr std::size_t kMaxGlyphs = 1U << 16;
constexpr std::size_t kOneByteGlyphs = 256;
constexpr std::uint32_t kLastCodePoint = 0x10FFFF;
constexpr std::size_t kLongestNumber = 5;

// --- when a character may stay as it is -----------------------------------------------------------------------------

bool near(Color one, Color other, std::int32_t tolerance) noexcept {
    return one == other || (kind_of(one) == kind_of(other) && difference(one, other) <= tolerance);
}

// Parts of the luminances differ by at most one of sixteen steps: less than that is noise at the edge of a step.
bool shades_near(std::uint32_t one, std::uint32_t other) noexcept {
    for (std::uint32_t shift = 0; shift < 28; shift += 4) {
        const auto a = static_cast<std::int32_t>(one >> shift & 15), b = static_cast<std::int32_t>(other >> shift & 15);
        if (a - b > 1 || b - a > 1) return false;
    }
    return true;
}

// The parts of two cells in two colours each look alike, whichever glyphs they use.
bool blocks_near(const Character& one, const Character& other, std::int32_t tolerance) noexcept {
    if (one.look == other.look)
        return near(one.foreground, other.foreground, tolerance) && near(one.background, other.background, tolerance);
    // Compare each pair of colours that share a part. Bits after the last part mean background in both cells.
    const std::uint32_t a = one.look & 0x3F, b = other.look & 0x3F;
    return ((a & b) == 0 || near(one.foreground, other.foreground, tolerance)) &&
           ((a & ~b) == 0 || near(one.foreground, other.background, tolerance)) &&
           ((~a & b) == 0 || near(one.background, other.foreground, tolerance)) &&
           near(one.background, other.background, tolerance);
}

bool may_stay(const Character& shown, const Character& wanted, bool colored, std::int32_t tolerance) noexcept {
    const std::uint32_t kind = wanted.look & kLookKind;
    if (tolerance == 0 || kind != (shown.look & kLookKind)) return false;
    switch (kind) {
        case kPlainLook:
            // The glyph follows from the colour, so it may stay as well. This stops flicker.
            return near(shown.foreground, wanted.foreground, tolerance) &&
                   near(shown.background, wanted.background, tolerance);
        case kBlockLook: return blocks_near(shown, wanted, tolerance);
        case kShadeLook:
            return shades_near(shown.look, wanted.look) &&
                   (!colored || near(shown.foreground, wanted.foreground, tolerance));
        default: return false;
    }
}

enum class Likeness : int { equal, near, far };

#if defined(__SSE2__)
// For characters whose looks are equal and not exact: both colours at once, as near() compares them.
inline Likeness compare_colors(const Character& shown, const Character& wanted, std::int32_t tolerance) noexcept {
    const __m128i one = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&shown));
    const __m128i other = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&wanted));
    const __m128i apart = _mm_or_si128(_mm_subs_epu8(one, other), _mm_subs_epu8(other, one));
    const __m128i wide = _mm_unpacklo_epi8(apart, _mm_setzero_si128());
    // Colours of different kinds differ in the highest byte, by more than any tolerance with this weight.
    const __m128i weights = _mm_setr_epi16(2, 4, 1, 127, 2, 4, 1, 127);
    const __m128i pairs = _mm_madd_epi16(wide, _mm_mullo_epi16(wide, weights));
    const __m128i sums = _mm_add_epi32(pairs, _mm_shuffle_epi32(pairs, _MM_SHUFFLE(2, 3, 0, 1)));
    const int is_far = _mm_movemask_epi8(_mm_cmpgt_epi32(sums, _mm_set1_epi32(tolerance)));
    const auto differs = static_cast<std::uint64_t>(_mm_cvtsi128_si64(apart)) | (shown.glyph ^ wanted.glyph);
    // Without branches: which characters change is random, so a branch would be mispredicted half of the time.
    return static_cast<Likeness>((is_far != 0 ? 2 : 0) | static_cast<int>((is_far == 0) & (differs != 0)));
}
#else
inline Likeness compare_colors(const Character& shown, const Character& wanted, std::int32_t tolerance) noexcept {
    if (!near(shown.foreground, wanted.foreground, tolerance) || !near(shown.background, wanted.background, tolerance))
        return Likeness::far;
    return shown == wanted ? Likeness::equal : Likeness::near;
}
#endif

inline Likeness compare(const Character& shown, const Character& wanted, bool colored,
                        std::int32_t tolerance) noexcept {
    const bool simple = shown.look == wanted.look && (wanted.look & kShadeLook) != kShadeLook;
    if (simple && wanted.look != kExactLook && tolerance > 0) return compare_colors(shown, wanted, tolerance);
    if (shown == wanted) return Likeness::equal;
    return may_stay(shown, wanted, colored, tolerance) ? Likeness::near : Likeness::far;
}

// --- writing --------------------------------------------------------------------------------------------------------

void put_number(std::vector<char>& out, std::uint32_t number) {
    for (; number >= 0x80; number >>= 7) out.push_back(static_cast<char>(0x80 | (number & 0x7F)));
    out.push_back(static_cast<char>(number));
}

void put_places(std::vector<char>& out, const std::vector<std::uint8_t>& mask) {
    std::size_t end = mask.size();
    while (end > 0 && mask[end - 1] == 0) --end;
    for (std::size_t at = 0; at < end;) {
        out.push_back(static_cast<char>(mask[at]));
        if (mask[at++] != 0) continue;
        std::size_t zeros = 1;
        for (; mask[at] == 0 && zeros < 255; ++at) ++zeros;
        out.push_back(static_cast<char>(zeros));
    }
    // A zero with the count zero cannot be a run: it ends the places.
    out.push_back(0);
    out.push_back(0);
}

// Numbers glyphs in the order of their first use.
class GlyphTable {
public:
    std::uint32_t index_of(std::uint32_t entry) {
        Slot& quick = quick_[(entry * 2654435761U) >> 24];
        if (quick.used && quick.entry == entry) return quick.index;
        const auto found = std::find(entries_.begin(), entries_.end(), entry);
        const auto index = static_cast<std::uint32_t>(found - entries_.begin());
        if (found == entries_.end()) entries_.push_back(entry);
        quick = {entry, index, true};
        return index;
    }
    const std::vector<std::uint32_t>& entries() const noexcept { return entries_; }

private:
    struct Slot {
        std::uint32_t entry = 0;
        std::uint32_t index = 0;
        bool used = false;
    };
    std::array<Slot, 256> quick_{};
    std::vector<std::uint32_t> entries_;
};

struct Predictor {
    bool whole;
    Color last = kDefaultColor;

    // The colour that the components of a place are differences to.
    Color of(Color there) noexcept {
        if (whole) return last;
        return kind_of(there) == ColorKind::direct ? there : kDefaultColor;
    }
};

// All reds, greens and blues of the 24-bit colours, then the palette's. `old` is what is shown, a terminal's colour.
class ColorPlanes {
public:
    ColorPlanes(std::uint8_t* memory, std::size_t most, bool whole) noexcept
        : red_(memory), green_(red_ + most), blue_(green_ + most), index_(blue_ + most), predictor_{whole} {}

    void add(Color color, Color old) noexcept {
        const ColorKind kind = kind_of(color);
        if (kind == ColorKind::direct) {
            const Color before = predictor_.of(old);
            red_[direct_] = static_cast<std::uint8_t>(color - before);
            green_[direct_] = static_cast<std::uint8_t>((color >> 8) - (before >> 8));
            blue_[direct_++] = static_cast<std::uint8_t>((color >> 16) - (before >> 16));
            predictor_.last = color;
        } else if (kind == ColorKind::indexed) {
            index_[indexed_++] = static_cast<std::uint8_t>(color);
        }
    }
    // By value: an object whose address is taken would be reloaded after every stored byte.
    static void write(ColorPlanes planes, std::vector<char>& out) { planes.append(out); }

private:
    void append(std::vector<char>& out) const {
        for (const std::uint8_t* plane : {red_, green_, blue_}) out.insert(out.end(), plane, plane + direct_);
        out.insert(out.end(), index_, index_ + indexed_);
    }

    std::uint8_t *red_, *green_, *blue_, *index_;
    Predictor predictor_;
    std::size_t direct_ = 0, indexed_ = 0;
};

std::uint32_t entry_of(std::uint32_t glyph, Color foreground, Color background) noexcept {
    return glyph << kKindBits | static_cast<std::uint32_t>(kind_of(foreground)) << 2 |
           static_cast<std::uint32_t>(kind_of(background));
}

// --- a picture's colours on a terminal ------------------------------------------------------------------------------

std::uint32_t dithered(Cell cell, std::int32_t offset) noexcept {
    Cell result = kOpaque;
    for (unsigned shift = 0; shift < 24; shift += 8) {
        const std::int32_t value = static_cast<std::int32_t>(cell >> shift & 0xFF) + offset;
        result |= static_cast<Cell>(std::clamp(value, 0, 255)) << shift;
    }
    return result;
}

Color terminal_color(Color color, const Style& style, std::uint32_t x, std::uint32_t line) noexcept {
    if (color == kDefaultColor || style.color == ColorLevel::truecolor) return color;
    if (style.indexed == nullptr) return kDefaultColor;
    if (style.dithered && !is_dark(color, luminance(color), kDarkDots)) {
        // About the distance between neighbours in the palette.
        const std::int32_t spread = style.color == ColorLevel::ansi256 ? 32 : 96;
        color = dithered(color, (kThresholds[line % 4][x % 4] - 128) * spread / 256);
    }
    return kIndexed | style.indexed->index_of(color);
}

// The foreground of a space is invisible, so it need not be sent.
inline Color foreground_on_terminal(const Character& character) noexcept {
    return character.glyph == U' ' ? kDefaultColor : character.foreground;
}

// --- reading --------------------------------------------------------------------------------------------------------

class Reader {
public:
    explicit Reader(std::string_view bytes) noexcept
        : at_(reinterpret_cast<const std::uint8_t*>(bytes.data())), end_(at_ + bytes.size()) {}

    std::uint8_t byte() {
        require(1);
        return *at_++;
    }
    std::uint32_t number() {
        std::uint32_t value = 0;
        for (unsigned shift = 0; shift < 7 * kLongestNumber; shift += 7) {
            const std::uint8_t next = byte();
            if (shift == 28 && next > 0x0F) break;
            value |= static_cast<std::uint32_t>(next & 0x7F) << shift;
            if (next < 0x80) return value;
        }
        throw std::invalid_argument("a number of the update is too large");
    }
    const std::uint8_t* bytes(std::size_t count) {
        require(count);
        const std::uint8_t* start = at_;
        at_ += count;
        return start;
    }
    bool is_at_end() const noexcept { return at_ == end_; }

private:
    void require(std::size_t count) const {
        if (count > static_cast<std::size_t>(end_ - at_)) throw std::invalid_argument("the update is cut short");
    }
    const std::uint8_t* at_;
    const std::uint8_t* end_;
};

struct GlyphEntry {
    std::uint32_t glyph;
    ColorKind foreground, background;
};

std::vector<GlyphEntry> read_glyphs(Reader& reader) {
    const std::uint32_t count = reader.number();
    if (count > kMaxGlyphs) throw std::invalid_argument("the update has too many glyphs");
    std::vector<GlyphEntry> glyphs;
    for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t entry = reader.number();
        const unsigned foreground = entry >> 2 & 3, background = entry & 3;
        if (entry >> kKindBits > kLastCodePoint || foreground > 2 || background > 2)
            throw std::invalid_argument("the update has an invalid glyph");
        glyphs.push_back({entry >> kKindBits, static_cast<ColorKind>(foreground), static_cast<ColorKind>(background)});
    }
    return glyphs;
}

std::vector<std::uint32_t> read_places(Reader& reader, std::size_t characters) {
    std::vector<std::uint32_t> places;
    const std::size_t bytes = (characters + 7) / 8;
    for (std::size_t at = 0;;) {
        const std::uint8_t bits = reader.byte();
        if (bits == 0) {
            const std::uint8_t zeros = reader.byte();
            if (zeros == 0) return places;
            at += zeros;
            continue;
        }
        if (at >= bytes) throw std::invalid_argument("the update changes a place outside the screen");
        for (unsigned bit = 0; bit < 8; ++bit)
            if ((bits >> bit & 1) != 0) places.push_back(static_cast<std::uint32_t>(8 * at + bit));
        if (places.back() >= characters) throw std::invalid_argument("the update changes a place outside the screen");
        ++at;
    }
}

// The colours of all changed characters, `colors[i]` holding what is there, and `kinds[i]` what it becomes.
void read_colors(Reader& reader, const std::vector<ColorKind>& kinds, bool whole, std::vector<Color>& colors) {
    const auto direct = static_cast<std::size_t>(std::count(kinds.begin(), kinds.end(), ColorKind::direct));
    const auto indexed = static_cast<std::size_t>(std::count(kinds.begin(), kinds.end(), ColorKind::indexed));
    const std::uint8_t* red = reader.bytes(direct);
    const std::uint8_t* green = reader.bytes(direct);
    const std::uint8_t* blue = reader.bytes(direct);
    const std::uint8_t* index = reader.bytes(indexed);
    Predictor predictor{whole};
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        if (kinds[i] == ColorKind::direct) {
            const Color before = predictor.of(colors[i]);
            const Color color = kOpaque | ((before + *red++) & 0xFF) | (((before >> 8) + *green++) & 0xFF) << 8 |
                                (((before >> 16) + *blue++) & 0xFF) << 16;
            colors[i] = predictor.last = color;
        } else {
            colors[i] = kinds[i] == ColorKind::indexed ? kIndexed | *index++ : kDefaultColor;
        }
    }
}

}  // namespace

Character on_terminal(const Character& character, const Style& style, std::uint32_t x, std::uint32_t y) noexcept {
    Character result = character;
    // Text and empty places already have the terminal's colours.
    if (character.look != kExactLook) {
        result.foreground = terminal_color(character.foreground, style, x, 2 * y);
        result.background = terminal_color(character.background, style, x, 2 * y + 1);
    }
    result.foreground = foreground_on_terminal(result);
    return result;
}

void convert_to_terminal(CharacterGrid& grid, const Style& style) noexcept {
    Character* at = grid.data();
    for (std::uint32_t y = 0; y < grid.rows(); ++y)
        for (std::uint32_t x = 0; x < grid.columns(); ++x, ++at) *at = on_terminal(*at, style, x, y);
}

std::size_t update_bound(std::size_t characters) noexcept {
    const std::size_t glyphs = kLongestNumber * (1 + std::min(characters, kMaxGlyphs));
    return glyphs + 2 * (characters / 8 + 2) + characters * (2 + 3 + 3);
}

UpdateCounts UpdateEncoder::encode(const CharacterGrid& wanted, CharacterGrid& shown, const Style& style,
                                   const UpdateOptions& options, std::vector<char>& out) {
    const std::uint32_t columns = wanted.columns();
    const bool colored = style.color != ColorLevel::none;
    const Character* want = wanted.data();
    Character* show = shown.data();
    const Character* previous = options.previous != nullptr ? options.previous->data() : nullptr;
    const bool is_direct = style.color == ColorLevel::truecolor;
    UpdateCounts counts;
    changed_.resize(wanted.size());
    std::size_t most = 0;
    mask_.assign((wanted.size() + 7) / 8, 0);
    for (std::uint32_t y = 0; y < wanted.rows(); ++y) {
        const bool refines = previous != nullptr && y >= options.refine_begin && y < options.refine_end;
        for (std::uint32_t x = 0; x < columns; ++x) {
            const std::uint32_t i = y * columns + x;
            unsigned changes = 1;
            if (!options.whole) {
                const bool is_still = refines && previous[i] == want[i];
                const Likeness likeness = compare(show[i], want[i], colored, is_still ? 0 : options.tolerance);
                counts.inexact += likeness == Likeness::near ? 1U : 0U;
                changes = likeness == Likeness::far ? 1U : 0U;
                if (!is_direct && changes != 0 &&
                    on_terminal(show[i], style, x, y) == on_terminal(want[i], style, x, y)) {
                    show[i] = want[i];
                    changes = 0;
                }
            }
            changed_[most] = i;
            most += changes;
            mask_[i / 8] |= static_cast<std::uint8_t>(changes << (i % 8));
        }
    }
    counts.changed = most;

    GlyphTable glyphs;
    indices_.resize(most);
    planes_.resize(8 * most);
    ColorPlanes foregrounds(planes_.data(), most, options.whole);
    ColorPlanes backgrounds(planes_.data() + 4 * most, most, options.whole);
    const std::uint32_t* changed = changed_.data();
    std::uint16_t* indices = indices_.data();
    for (std::size_t n = 0; n < most; ++n) {
        const std::uint32_t i = changed[n];
        const std::uint32_t glyph = want[i].glyph;
        Color foreground = foreground_on_terminal(want[i]), background = want[i].background;
        Color old_foreground = foreground_on_terminal(show[i]), old_background = show[i].background;
        if (!is_direct) {
            const Character now = on_terminal(want[i], style, i % columns, i / columns);
            const Character before = on_terminal(show[i], style, i % columns, i / columns);
            foreground = now.foreground;
            background = now.background;
            old_foreground = before.foreground;
            old_background = before.background;
        }
        indices[n] = static_cast<std::uint16_t>(glyphs.index_of(entry_of(glyph, foreground, background)));
        foregrounds.add(foreground, old_foreground);
        backgrounds.add(background, old_background);
        show[i] = want[i];
    }

    out.clear();
    const std::vector<std::uint32_t>& entries = glyphs.entries();
    put_number(out, static_cast<std::uint32_t>(entries.size()));
    for (const std::uint32_t entry : entries) put_number(out, entry);
    put_places(out, mask_);
    if (entries.size() > 1) {
        for (const std::uint16_t index : indices_) {
            out.push_back(static_cast<char>(index));
            if (entries.size() > kOneByteGlyphs) out.push_back(static_cast<char>(index >> 8));
        }
    }
    ColorPlanes::write(foregrounds, out);
    ColorPlanes::write(backgrounds, out);
    return counts;
}

std::vector<std::uint32_t> update_glyphs(std::string_view update) {
    Reader reader(update);
    std::vector<std::uint32_t> code_points;
    for (const GlyphEntry& entry : read_glyphs(reader)) code_points.push_back(entry.glyph);
    return code_points;
}

namespace {

// Remove halves of wide glyphs, which would change the width of a row.
void mend_wide_glyphs(CharacterGrid& grid) noexcept {
    const std::uint32_t columns = grid.columns();
    Character* row = grid.data();
    for (std::uint32_t y = 0; y < grid.rows(); ++y, row += columns) {
        bool is_covered = false;
        for (std::uint32_t x = 0; x < columns; ++x) {
            Character& character = row[x];
            const bool is_half = character.glyph == kContinuation;
            const bool is_whole = x + 1 < columns && row[x + 1].glyph == kContinuation;
            if (is_half ? !is_covered : character.look == kWideLook && !is_whole) {
                character.glyph = U' ';
                character.look = kExactLook;
            }
            is_covered = !is_half && character.look == kWideLook;
        }
    }
}

}  // namespace

void apply_update(std::string_view update, bool whole, std::string_view widths, CharacterGrid& grid) {
    Reader reader(update);
    std::vector<GlyphEntry> glyphs = read_glyphs(reader);
    if (widths.size() != glyphs.size()) throw std::invalid_argument("each glyph of the update has one width");
    for (std::size_t i = 0; i < glyphs.size(); ++i)
        if (glyphs[i].glyph != kContinuation && widths[i] == 0) glyphs[i].glyph = U'?';
    const std::vector<std::uint32_t> places = read_places(reader, grid.size());
    if (glyphs.empty() && !places.empty()) throw std::invalid_argument("the update has no glyphs");
    const std::size_t index_size = glyphs.size() <= 1 ? 0 : glyphs.size() <= kOneByteGlyphs ? 1 : 2;
    const std::uint8_t* bytes = reader.bytes(index_size * places.size());

    Character* characters = grid.data();
    std::vector<std::size_t> indices;
    std::vector<ColorKind> foreground_kinds, background_kinds;
    std::vector<Color> foregrounds, backgrounds;
    for (std::size_t n = 0; n < places.size(); ++n) {
        std::size_t index = 0;
        if (index_size > 0) index = bytes[n * index_size];
        if (index_size > 1) index |= static_cast<std::size_t>(bytes[n * index_size + 1]) << 8;
        if (index >= glyphs.size()) throw std::invalid_argument("the update uses a glyph that it does not have");
        const Character& character = characters[places[n]];
        indices.push_back(index);
        foreground_kinds.push_back(glyphs[index].foreground);
        background_kinds.push_back(glyphs[index].background);
        foregrounds.push_back(character.foreground);
        backgrounds.push_back(character.background);
    }
    read_colors(reader, foreground_kinds, whole, foregrounds);
    read_colors(reader, background_kinds, whole, backgrounds);
    if (!reader.is_at_end()) throw std::invalid_argument("the update is longer than it says");
    // Change nothing until all of it has been parsed.
    for (std::size_t n = 0; n < places.size(); ++n) {
        const bool is_wide = widths[indices[n]] == 2;
        characters[places[n]] = {foregrounds[n], backgrounds[n], glyphs[indices[n]].glyph,
                                 is_wide ? kWideLook : kExactLook};
    }
    mend_wide_glyphs(grid);
}

}  // namespace teleglyph
