#include "paint.hpp"

#include <cstdint>
#include <cstring>

#include "tables.hpp"

namespace teleglyph {
namespace {

constexpr std::uint32_t kUpperHalf = 0x2580, kLowerHalf = 0x2584;
constexpr std::uint32_t kUnknown = UINT32_MAX;  // no column or row
constexpr Color kAnyColor = 0x02000000U;        // not a colour; UINT32_MAX would be white
// The most bytes a cell can need: two 24-bit colours (2 + 17 + 17), cursor movement (12), a four-byte glyph.
constexpr std::size_t kMaxPerCharacter = 64;
constexpr std::size_t kMaxGap = 4;
constexpr std::size_t kLeastErased = 8;

std::size_t digits(std::uint32_t number) noexcept { return number < 10 ? 1 : number < 100 ? 2 : number < 1000 ? 3 : 4; }

// What a pen writes next needs; the longest sequence leaves room, see kMaxPerCharacter.
class Pen {
public:
    explicit Pen(char* out) noexcept : out_(out) {}

    char* end() const noexcept { return out_; }
    Color foreground() const noexcept { return foreground_; }
    Color background() const noexcept { return background_; }

    template <std::size_t N>
    void put(const char (&text)[N]) noexcept {
        std::memcpy(out_, text, N - 1);
        out_ += N - 1;
    }
    void put(char byte) noexcept { *out_++ = byte; }

    void number(std::uint32_t number) noexcept {
        if (number >= 1000) {
            *out_++ = static_cast<char>('0' + number / 1000);
            number %= 1000;
            *out_++ = static_cast<char>('0' + number / 100);
            *out_++ = static_cast<char>('0' + number / 10 % 10);
            *out_++ = static_cast<char>('0' + number % 10);
            return;
        }
        // "N;" with the last character taken back.
        const Decimal& decimal = kDecimalSemicolon[number < 256 ? number : 0];
        if (number < 256) {
            std::memcpy(out_, decimal.bytes, sizeof decimal.bytes);
            out_ += decimal.length - 1;
            return;
        }
        *out_++ = static_cast<char>('0' + number / 100);
        *out_++ = static_cast<char>('0' + number / 10 % 10);
        *out_++ = static_cast<char>('0' + number % 10);
    }

    void glyph(std::uint32_t glyph) noexcept { out_ += put_utf8(out_, glyph); }

    // Select both colours; kAnyColor leaves one as it is.
    void colors(Color foreground, Color background) noexcept {
        const bool new_foreground = foreground != kAnyColor && foreground != foreground_;
        const bool new_background = background != kAnyColor && background != background_;
        if (!new_foreground && !new_background) return;
        put("\x1b[");
        if (new_foreground) color(foreground_ = foreground, 30, 90, "38;");
        if (new_foreground && new_background) put(';');
        if (new_background) color(background_ = background, 40, 100, "48;");
        put('m');
    }

    void reset() noexcept {
        if (foreground_ == kDefaultColor && background_ == kDefaultColor) return;
        put("\x1b[0m");
        foreground_ = background_ = kDefaultColor;
    }

private:
    // The parameters of one colour. The first 16 of the palette are what all terminals with colours have.
    void color(Color color, std::uint32_t base, std::uint32_t bright, const char (&extended)[4]) noexcept {
        switch (kind_of(color)) {
            case ColorKind::standard: number(base + 9); break;
            case ColorKind::indexed: {
                const std::uint32_t index = color & 0xFF;
                if (index < 16) {
                    number(index < 8 ? base + index : bright + index - 8);
                } else {
                    put(extended);
                    put("5;");
                    number(index);
                }
                break;
            }
            case ColorKind::direct:
                put(extended);
                put("2;");
                number(color & 0xFF);
                put(';');
                number(color >> 8 & 0xFF);
                put(';');
                number(color >> 16 & 0xFF);
                break;
        }
    }

    char* out_;
    Color foreground_ = kDefaultColor;
    Color background_ = kDefaultColor;
};

// One character with its colours, in as few bytes as the pen's state allows.
void draw(Pen& pen, const Character& character) noexcept {
    const std::uint32_t glyph = character.glyph;
    if (glyph == U' ' || glyph == kContinuation) {
        pen.colors(kAnyColor, character.background);
        pen.put(' ');
    } else if (glyph == kUpperHalf && character.foreground == character.background &&
               character.foreground != kDefaultColor) {
        pen.colors(kAnyColor, character.background);
        pen.put(' ');
    } else if (glyph == kUpperHalf && character.background != kDefaultColor && character.foreground != kDefaultColor &&
               (pen.foreground() == character.background) + (pen.background() == character.foreground) >
                   (pen.foreground() == character.foreground) + (pen.background() == character.background)) {
        pen.colors(character.background, character.foreground);
        pen.glyph(kLowerHalf);
    } else {
        pen.colors(character.foreground, character.background);
        pen.glyph(glyph);
    }
}

// Whether a wide glyph to the left also covers this place. After any other glyph a continuation is a blank.
bool is_covered(const Character* row, std::uint32_t x) noexcept {
    return row[x].glyph == kContinuation && x > 0 && !is_surely_narrow(row[x - 1].glyph);
}

bool is_plain_blank(const Character& character) noexcept {
    return character.glyph == U' ' && character.background == kDefaultColor;
}

// The terminal's cursor position, as far as known.
struct Cursor {
    std::uint32_t x = kUnknown, y = kUnknown;
};

// Move within a row over unchanged characters, by rewriting them if that takes no more bytes.
bool rewrite_gap(Pen& pen, const Character* gap, std::size_t count) noexcept {
    if (count > kMaxGap) return false;
    const std::size_t moving = count == 1 ? 3 : 4;
    std::size_t writing = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const Character& character = gap[i];
        if (!is_surely_narrow(character.glyph) || character.background != pen.background() ||
            (character.glyph != U' ' && character.foreground != pen.foreground()))
            return false;
        writing += character.glyph < 0x80 ? 1 : character.glyph < 0x10000 ? 3 : 4;
    }
    if (writing > moving) return false;
    for (std::size_t i = 0; i < count; ++i) pen.glyph(gap[i].glyph);
    return true;
}

void move(Pen& pen, const Cursor& cursor, const Character* row, std::uint32_t x, std::uint32_t y) noexcept {
    if (cursor.y == y && cursor.x == x) return;
    if (cursor.y == y && cursor.x != kUnknown && cursor.x < x) {
        const std::uint32_t distance = x - cursor.x;
        if (rewrite_gap(pen, row + cursor.x, distance)) return;
        if (distance == 1) {
            pen.put("\x1b[C");
        } else {
            pen.put("\x1b[");
            pen.number(distance);
            pen.put('C');
        }
        return;
    }
    const bool is_next = cursor.y != kUnknown && cursor.y + 1 == y;
    if (is_next && x == 0) {
        pen.put("\r\n");
        return;
    }
    if (is_next && 5 + digits(x) < 4 + digits(y + 1) + digits(x + 1)) {
        pen.put("\r\n\x1b[");
        pen.number(x);
        pen.put('C');
        return;
    }
    pen.put("\x1b[");
    if (y > 0 || x > 0) pen.number(y + 1);
    if (x > 0) {
        pen.put(';');
        pen.number(x + 1);
    }
    pen.put('H');
}

// The column from which the rest of a row is blank, with enough changes that erasing is shorter than spaces.
std::uint32_t erased_from(const Character* wanted, const Character* shown, std::uint32_t columns) noexcept {
    std::uint32_t start = columns;
    std::size_t changes = 0;
    while (start > 0 && is_plain_blank(wanted[start - 1])) {
        --start;
        changes += wanted[start] == shown[start] ? 0 : 1;
    }
    return changes >= kLeastErased ? start : columns;
}

}  // namespace

void paint_changes(const CharacterGrid& wanted, CharacterGrid& shown, TextBuffer& out) {
    const std::uint32_t columns = wanted.columns();
    Pen pen(out.reserve(wanted.size() * kMaxPerCharacter + 16));
    Cursor cursor;
    const Character* want = wanted.data();
    Character* show = shown.data();
    for (std::uint32_t y = 0; y < wanted.rows(); ++y, want += columns, show += columns) {
        const std::uint32_t erase = erased_from(want, show, columns);
        for (std::uint32_t x = 0; x < erase; ++x) {
            if (want[x] == show[x]) continue;
            show[x] = want[x];
            if (is_covered(want, x)) continue;
            move(pen, cursor, want, x, y);
            draw(pen, want[x]);
            // Terminals differ: on the last column the cursor stays, or waits behind it.
            const bool is_known = is_surely_narrow(want[x].glyph) && x + 1 < columns;
            cursor = {is_known ? x + 1 : kUnknown, y};
        }
        if (erase < columns) {
            move(pen, cursor, want, erase, y);
            pen.colors(kAnyColor, kDefaultColor);
            pen.put("\x1b[K");
            cursor = {erase, y};
            std::memcpy(show + erase, want + erase, (columns - erase) * sizeof(Character));
        }
    }
    pen.reset();
    out.length = static_cast<std::size_t>(pen.end() - out.data());
}

void paint_all(const CharacterGrid& grid, TextBuffer& out) {
    const std::uint32_t columns = grid.columns();
    Pen pen(out.reserve(grid.size() * kMaxPerCharacter + grid.rows() * 8 + 16));
    const Character* row = grid.data();
    for (std::uint32_t y = 0; y < grid.rows(); ++y, row += columns) {
        if (y > 0) pen.put('\n');
        for (std::uint32_t x = 0; x < columns; ++x)
            if (!is_covered(row, x)) draw(pen, row[x]);
        if (pen.background() != kDefaultColor) pen.reset();
    }
    pen.reset();
    out.length = static_cast<std::size_t>(pen.end() - out.data());
}

}  // namespace teleglyph
