// Frames of characters from elsewhere: what they may hold, and what of it a terminal of a given size gets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace teleglyph {

// What is done with a code point. The values are those of teleglyph.media.frame_text.
enum class GlyphKind : std::uint8_t {
    dropped,   // left out: it is not seen, or changes the width of its neighbours
    mark,      // combines with the character before it
    narrow,    // one column
    wide,      // two columns
    replaced,  // becomes a question mark
};

struct TextScan {
    // Bytes before the first thing that no terminal may get; the length of the text if there is no such thing.
    std::size_t drawable = 0;
    // The different code points whose kind is not known here, in ascending order.
    std::vector<std::uint32_t> glyphs;
};

// Walks over a text once. It may hold UTF-8 without control characters, line feeds, SGR (ESC [ numbers m) and REP
// (ESC [ numbers b), and at most kMostFrameGlyphs different code points of unknown kind.
TextScan scan_text(std::string_view text);
inline constexpr std::size_t kMostFrameGlyphs = 4096;

struct FittedText {
    std::string text;  // UTF-8, line feeds and SGR; each row begins and ends without attributes
    std::uint32_t rows = 0;
    std::uint32_t narrowest = 0;  // columns of the shortest row
};

// The last `rows` rows of a text that scan_text() accepts, each cut to `columns`, with REP expanded. A line feed at the
// very end begins no row. `kinds` holds the kind of each of `glyphs`, which are in ascending order.
// Memory is bounded by columns x rows, whatever the text says. Throws std::invalid_argument for any other text.
FittedText fit_text(std::string_view text, const std::vector<std::uint32_t>& glyphs,
                    const std::vector<GlyphKind>& kinds, std::uint32_t columns, std::uint32_t rows);

}  // namespace teleglyph
