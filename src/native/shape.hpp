// Finds the ASCII character that covers its cell where the picture is light.
#pragma once

#include <array>
#include <cstdint>

namespace teleglyph {

// By the luminances of 2x3 parts, three bits each, the first part lowest.
using ShapeTable = std::array<char, 1U << 18>;

// Made by the first call, which is safe from any thread and takes some tens of milliseconds.
const ShapeTable& shape_table();

}  // namespace teleglyph
