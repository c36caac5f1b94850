// Checks frames of text from a server, and cuts them to the size of a terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace teleglyph {

// How a code point is drawn. The values are those of teleglyph.media.frame_text.
enum class GlyphKind : std::uint8_t {
    dropped,   // left out: it is invisible, or changes the width of its neighbours
    mark,      // combines with the character before it
    narrow,    // one column
    wide,      // two columns
    replaced,  // becomes a question mark
};

struct TextScan {
    // Bytes before the first that may not reach a terminal; the length of the text if all may.
    std::size_t drawable = 0;
    // The distinct code points whose kind is not known here, in ascending order.
    std::vector<std::uint32_t> glyphs;
};

// Scans a text once. Allowed are UTF-8 without control characters, line feeds, SGR (ESC [ numbers m), REP
// (ESC [ numbers b), and at most kMaxFrameGlyphs distinct code points of unknown kind.
TextScan scan_text(std::string_view text);
inline constexpr std::size_t kMaxFrameGlyphs = 4096;

struct FittedText {
    std::string text;  // UTF-8, line feeds and SGR; each row begins and ends without attributes
    std::uint32_t rows = 0;
    std::uint32_t narrowest = 0;  // columns of the shortest row
};

// The last `rows` rows of a text that scan_text() accepts, each cut to `columns`, with REP expanded. A line feed at the
// very end begins no row. `kinds` holds the kind of each of `glyphs`, which are in ascending order.
// Memory is bounded by columns x rows for any text. Throws std::invalid_argument for any other text.
FittedText fit_text(std::string_view text, const std::vector<std::uint32_t>& glyphs,
                    const std::vector<GlyphKind>& kinds, std::uint32_t columns, std::uint32_t rows);

}  // namespace teleglyph
