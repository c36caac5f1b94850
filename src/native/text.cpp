#include "text.hpp"

#include <algorithm>
#include <stdexcept>
#include <unordered_set>

#include "character.hpp"

namespace teleglyph {

namespace {

constexpr char kEscape = '\x1b';
constexpr std::uint32_t kMaxNumber = 0xFFFF;  // larger numbers of a control sequence count as this one
constexpr unsigned kMaxMarks = 8;             // on one character; real scripts need about four

// --- tokens ---------------------------------------------------------------------------------------------------------

struct Token {
    enum class Kind { refused, glyph, row_end, look, repeat };
    Kind kind = Kind::refused;
    std::size_t length = 0;
    std::uint32_t glyph = 0;
    std::string_view numbers{};  // of a control sequence
};

bool is_continuation(char byte) { return (static_cast<std::uint8_t>(byte) & 0xc0) == 0x80; }

// Length of the character outside ASCII at the start of the text, or 0 if it is malformed or a C1 control (RFC 3629).
std::size_t utf8_length(std::string_view text) {
    const auto lead = static_cast<std::uint8_t>(text[0]);
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
    if (!std::all_of(text.begin() + 1, text.begin() + static_cast<std::ptrdiff_t>(length), is_continuation)) return 0;
    const auto second = static_cast<std::uint8_t>(text[1]);
    const bool is_control = lead == 0xc2 && second < 0xa0;
    const bool is_overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
    const bool is_no_character = (lead == 0xed && second >= 0xa0) || (lead == 0xf4 && second >= 0x90);
    return is_control || is_overlong || is_no_character ? 0 : length;
}

Token control_sequence(std::string_view text) {
    if (text.size() < 3 || text[1] != '[') return {};
    std::size_t at = 2;
    while (at < text.size() && ((text[at] >= '0' && text[at] <= '9') || text[at] == ';')) ++at;
    if (at == text.size() || (text[at] != 'm' && text[at] != 'b')) return {};
    const Token::Kind kind = text[at] == 'm' ? Token::Kind::look : Token::Kind::repeat;
    return {kind, at + 1, 0, text.substr(2, at - 2)};
}

// The token at the start of a text that is not empty.
Token next_token(std::string_view text) {
    const auto byte = static_cast<std::uint8_t>(text[0]);
    if (text[0] == '\n') return {Token::Kind::row_end, 1};
    if (text[0] == kEscape) return control_sequence(text);
    if (byte < 0x20 || byte == 0x7f) return {};
    const std::size_t length = byte < 0x80 ? 1 : utf8_length(text);
    if (length == 0) return {};
    return {Token::Kind::glyph, length, code_point(text.data(), length)};
}

// Reads the numbers of a control sequence; one that is left out is 0.
class Numbers {
public:
    explicit Numbers(std::string_view text) : text_(text) {}

    bool has_more() const { return !is_done_; }
    std::uint32_t next() {
        std::uint32_t value = 0;
        std::size_t at = 0;
        for (; at < text_.size() && text_[at] != ';'; ++at)
            value = std::min(kMaxNumber, 10 * value + static_cast<std::uint32_t>(text_[at] - '0'));
        is_done_ = at == text_.size();
        text_.remove_prefix(is_done_ ? at : at + 1);
        return value;
    }

private:
    std::string_view text_;
    bool is_done_ = false;
};

// --- colours and attributes -----------------------------------------------------------------------------------------

// The colours that SGR 30-37 and 90-97 select. Terminals may show them differently from the same palette entries, so
// the two forms are kept apart.
constexpr Color kBasic = 0x02000000U;

class Look {
public:
    bool operator==(const Look&) const = default;
    bool is_plain() const { return *this == Look{}; }

    // Apply an SGR sequence. Unknown parameters are ignored.
    void apply(std::string_view parameters) {
        Numbers numbers(parameters);
        while (numbers.has_more()) {
            const std::uint32_t number = numbers.next();
            if (number == 0) {
                *this = {};
            } else if (number < 10) {
                if (kAttributes >> number & 1) attributes_ |= 1U << number;
            } else if (number >= 22 && number <= 29) {
                attributes_ &= ~(number == 22 ? 0b110U : 1U << (number - 20));
            } else if (number == 38 || number == 48 || number == 58) {
                Color underline = kDefaultColor;  // parsed because it has the same form, then ignored
                Color& target = number == 38 ? foreground_ : number == 48 ? background_ : underline;
                if (!apply_extended(numbers, target)) return;
            } else {
                apply_basic(number);
            }
        }
    }

    // The sequence that takes a terminal from `before` to this.
    void write(std::string& out, const Look& before) const {
        if (is_plain()) {
            out += "\x1b[0m";
            return;
        }
        out += "\x1b[";
        const bool starts_anew = (before.attributes_ & ~attributes_) != 0;
        if (starts_anew) out += "0;";
        const Look base = starts_anew ? Look{} : before;
        for (unsigned number = 1; number < 10; ++number)
            if ((attributes_ & ~base.attributes_) >> number & 1) put(out, number);
        if (foreground_ != base.foreground_) put_color(out, foreground_, 30);
        if (background_ != base.background_) put_color(out, background_, 40);
        out.back() = 'm';
    }

private:
    // Bold, faint, italic, underlined, blinking, reversed, struck out. Hidden text has no use here.
    static constexpr unsigned kAttributes = 1U << 1 | 1U << 2 | 1U << 3 | 1U << 4 | 1U << 5 | 1U << 7 | 1U << 9;

    void apply_basic(std::uint32_t number) {
        if (number >= 30 && number <= 37) foreground_ = kBasic | (number - 30);
        if (number >= 90 && number <= 97) foreground_ = kBasic | (number - 90 + 8);
        if (number >= 40 && number <= 47) background_ = kBasic | (number - 40);
        if (number >= 100 && number <= 107) background_ = kBasic | (number - 100 + 8);
        if (number == 39) foreground_ = kDefaultColor;
        if (number == 49) background_ = kDefaultColor;
    }

    // False if the rest of the sequence cannot be understood.
    static bool apply_extended(Numbers& numbers, Color& color) {
        if (!numbers.has_more()) return false;
        const std::uint32_t form = numbers.next();
        if (form != 2 && form != 5) return false;
        Color result = form == 2 ? kOpaque : kIndexed;
        bool is_color = true;
        for (unsigned shift = 0; shift < (form == 2 ? 24U : 8U); shift += 8) {
            if (!numbers.has_more()) return false;
            const std::uint32_t value = numbers.next();
            is_color = is_color && value < 256;
            result |= (value & 0xFF) << shift;
        }
        if (is_color) color = result;
        return true;
    }

    static void put(std::string& out, std::uint32_t number) {
        out += std::to_string(number);
        out += ';';
    }
    static void put_color(std::string& out, Color color, std::uint32_t base) {
        const std::uint32_t index = color & 0xFF;
        if (color == kDefaultColor) {
            put(out, base + 9);
        } else if ((color & kOpaque) == kBasic) {
            put(out, index < 8 ? base + index : base + 60 + index - 8);
        } else if ((color & kOpaque) == kIndexed) {
            put(out, base + 8);
            put(out, 5);
            put(out, index);
        } else {
            put(out, base + 8);
            put(out, 2);
            for (unsigned shift = 0; shift < 24; shift += 8) put(out, color >> shift & 0xFF);
        }
    }

    Color foreground_ = kDefaultColor;
    Color background_ = kDefaultColor;
    unsigned attributes_ = 0;
};

// --- fitting --------------------------------------------------------------------------------------------------------

class Fitter {
public:
    Fitter(const std::vector<std::uint32_t>& glyphs, const std::vector<GlyphKind>& kinds, std::uint32_t columns)
        : glyphs_(glyphs), kinds_(kinds), columns_(columns) {}

    // Whether nothing is drawn behind the last line feed, of which there is one.
    bool ends_with_row_end(std::string_view text) const {
        for (std::size_t at = text.rfind('\n') + 1; at < text.size();) {
            const Token token = next_token(text.substr(at));
            if (token.kind == Token::Kind::refused) return false;
            if (token.kind == Token::Kind::glyph && kind_of_glyph(token.glyph) > GlyphKind::mark) return false;
            at += token.length;
        }
        return true;
    }

    // Of rows before the first kept one, only the colours matter.
    void skip(const Token& token) {
        if (token.kind == Token::Kind::look) look_.apply(token.numbers);
    }

    void take(std::string_view bytes, const Token& token) {
        switch (token.kind) {
            case Token::Kind::glyph: take_glyph(bytes, token.glyph); break;
            case Token::Kind::repeat: repeat(Numbers(token.numbers).next()); break;
            case Token::Kind::look:
                look_.apply(token.numbers);
                can_repeat_ = false;
                break;
            default: break;
        }
    }

    void end_row() {
        if (!written_.is_plain()) Look{}.write(result_.text, written_);
        written_ = {};
        result_.narrowest = result_.rows == 0 ? column_ : std::min(result_.narrowest, column_);
        ++result_.rows;
        column_ = 0;
        is_full_ = can_repeat_ = false;
    }
    void begin_next_row() { result_.text += '\n'; }

    FittedText result() { return std::move(result_); }

private:
    GlyphKind kind_of_glyph(std::uint32_t glyph) const {
        if (is_surely_narrow(glyph)) return GlyphKind::narrow;
        const auto found = std::lower_bound(glyphs_.begin(), glyphs_.end(), glyph);
        if (found == glyphs_.end() || *found != glyph) return GlyphKind::replaced;
        return kinds_[static_cast<std::size_t>(found - glyphs_.begin())];
    }

    void show_look() {
        if (written_ == look_) return;
        look_.write(result_.text, written_);
        written_ = look_;
    }

    void take_glyph(std::string_view bytes, std::uint32_t glyph) {
        const GlyphKind kind = kind_of_glyph(glyph);
        if (kind == GlyphKind::dropped) return;
        if (kind == GlyphKind::mark) {
            if (column_ == 0 || is_full_ || marks_ == kMaxMarks) return;
            ++marks_;
            result_.text += bytes;
            can_repeat_ = true;
            return;
        }
        const std::uint32_t width = kind == GlyphKind::wide ? 2 : 1;
        is_full_ = is_full_ || column_ + width > columns_;
        can_repeat_ = !is_full_;
        if (is_full_) return;
        show_look();
        last_ = result_.text.size();
        last_width_ = width;
        marks_ = 0;
        result_.text += kind == GlyphKind::replaced ? std::string_view("?") : bytes;
        column_ += width;
    }

    // As in xterm, REP repeats a character only if it follows it directly.
    void repeat(std::uint32_t times) {
        if (!can_repeat_) return;
        can_repeat_ = false;
        const std::uint32_t wanted = std::max(1U, times), room = (columns_ - column_) / last_width_;
        is_full_ = wanted > room;
        const std::string character = result_.text.substr(last_);
        if (room > 0) show_look();  // there may be a mark between the colours and the repetition
        for (std::uint32_t left = std::min(wanted, room); left > 0; --left) {
            last_ = result_.text.size();
            result_.text += character;
            column_ += last_width_;
        }
    }

    const std::vector<std::uint32_t>& glyphs_;
    const std::vector<GlyphKind>& kinds_;
    std::uint32_t columns_;
    FittedText result_;
    Look look_, written_;  // what the text has selected, and what the result has
    std::uint32_t column_ = 0;
    std::size_t last_ = 0;  // where the last character begins in the result, with its marks
    std::uint32_t last_width_ = 1;
    unsigned marks_ = 0;
    bool is_full_ = false;  // what follows in this row is cut off
    bool can_repeat_ = false;
};

}  // namespace

TextScan scan_text(std::string_view text) {
    TextScan scan;
    std::unordered_set<std::uint32_t> glyphs;
    std::uint32_t last = 0;
    while (scan.drawable < text.size()) {
        const Token token = next_token(text.substr(scan.drawable));
        if (token.kind == Token::Kind::refused) break;
        if (token.kind == Token::Kind::glyph && token.glyph != last && !is_surely_narrow(token.glyph)) {
            last = token.glyph;
            if (glyphs.insert(token.glyph).second && glyphs.size() > kMaxFrameGlyphs) break;
        }
        scan.drawable += token.length;
    }
    scan.glyphs.assign(glyphs.begin(), glyphs.end());
    std::sort(scan.glyphs.begin(), scan.glyphs.end());
    return scan;
}

FittedText fit_text(std::string_view text, const std::vector<std::uint32_t>& glyphs,
                    const std::vector<GlyphKind>& kinds, std::uint32_t columns, std::uint32_t rows) {
    if (columns < 1 || rows < 1) throw std::invalid_argument("a frame has at least one column and one row");
    if (glyphs.size() != kinds.size()) throw std::invalid_argument("each glyph has one kind");
    Fitter fitter(glyphs, kinds, columns);
    std::size_t ends = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    if (ends > 0 && fitter.ends_with_row_end(text)) --ends;
    std::size_t surplus = ends + 1 > rows ? ends + 1 - rows : 0;
    for (std::size_t at = 0; at < text.size();) {
        const Token token = next_token(text.substr(at));
        if (token.kind == Token::Kind::refused) throw std::invalid_argument("the text may not be drawn");
        if (token.kind != Token::Kind::row_end) {
            if (surplus > 0) {
                fitter.skip(token);
            } else {
                fitter.take(text.substr(at, token.length), token);
            }
        } else if (ends == 0) {
            break;  // the line feed at the very end
        } else {
            --ends;
            if (surplus > 0) {
                --surplus;
            } else {
                fitter.end_row();
                fitter.begin_next_row();
            }
        }
        at += token.length;
    }
    fitter.end_row();
    return fitter.result();
}

}  // namespace teleglyph
