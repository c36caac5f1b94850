#include "text.hpp"

#include <algorithm>

namespace teleglyph {

namespace {

constexpr std::uint8_t kEscape = 0x1b;

// Length of the SGR sequence at the start of the text, or 0.
std::size_t sgr_length(std::string_view text) {
    if (text.size() < 3 || text[1] != '[') return 0;
    std::size_t at = 2;
    while (at < text.size() && ((text[at] >= '0' && text[at] <= '9') || text[at] == ';')) ++at;
    return at < text.size() && text[at] == 'm' ? at + 1 : 0;
}

bool is_continuation(char byte) { return (static_cast<std::uint8_t>(byte) & 0xc0) == 0x80; }

// Length of the character outside ASCII at the start of the text, or 0 if it is malformed or a C1 control (RFC 3629).
std::size_t wide_length(std::string_view text) {
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

}  // namespace

TextMeasure measure_text(std::string_view text) {
    TextMeasure measure{true, 1, UINT32_MAX, 0};
    std::uint32_t column = 0;
    const auto end_row = [&] {
        measure.narrowest = std::min(measure.narrowest, column);
        measure.widest = std::max(measure.widest, column);
        column = 0;
    };
    std::size_t at = 0;
    while (at < text.size()) {
        const auto byte = static_cast<std::uint8_t>(text[at]);
        std::size_t length = 1;
        if (byte == '\n') {
            end_row();
            ++measure.rows;
        } else if (byte == kEscape) {
            length = sgr_length(text.substr(at));
        } else if (byte < 0x20 || byte == 0x7f) {
            length = 0;
        } else {
            if (byte >= 0x80) length = wide_length(text.substr(at));
            ++column;
        }
        if (length == 0) return {};
        at += length;
    }
    end_row();
    return measure;
}

}  // namespace teleglyph
