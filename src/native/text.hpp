// What a frame of characters from elsewhere holds, before it is let near a terminal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace teleglyph {

struct TextMeasure {
    bool drawable = false;       // only printable characters, line feeds and SGR sequences
    std::uint32_t rows = 0;      // line feeds + 1
    std::uint32_t narrowest = 0;  // characters of the shortest and of the longest row
    std::uint32_t widest = 0;
};

// Walks over UTF-8 text once. Not drawable: control characters of C0 (but LF and SGR) and C1, DEL, and bytes that are
// not UTF-8, some of which terminals take for control characters as well.
TextMeasure measure_text(std::string_view text);

}  // namespace teleglyph
