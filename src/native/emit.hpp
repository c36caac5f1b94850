// Cells to text: characters with SGR sequences, rows joined by line feeds.
#pragma once

#include <cstddef>

#include "cells.hpp"
#include "style.hpp"

namespace teleglyph {

// Bytes that emit_frame may touch at most for a frame of this size, whatever the cells are.
std::size_t frame_bound(const Style& style, std::uint32_t columns, std::uint32_t rows) noexcept;

// Writes the frame to `out`, which has frame_bound() bytes, and returns its length.
//
// grid.lines is rows * style.subrows(); in half-block mode both halves of a character are transparent, or neither.
// Transparent cells become spaces on the default background. Sequences are written only where a colour changes.
// Foreground colours last over the ends of rows and are reset once, at the end; backgrounds are reset in every row, so
// that a terminal never erases with them. Frames without colours contain no sequences at all.
std::size_t emit_frame(const CellGrid& grid, const Style& style, char* out) noexcept;

}  // namespace teleglyph
