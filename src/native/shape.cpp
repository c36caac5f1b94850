#include "shape.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>

#include "glyph_coverage.hpp"

namespace teleglyph {
namespace {

constexpr unsigned kLevels = 8;
constexpr unsigned kZones = 6;
constexpr unsigned kHalf = kLevels * kLevels * kLevels;  // keys of three zones

// Squared errors of one glyph for all luminances of three zones, in squared 255ths.
void add_errors(const std::uint8_t* coverage, double white, std::array<float, kHalf>& errors) {
    for (unsigned key = 0; key < kHalf; ++key) {
        double sum = 0.0;
        for (unsigned zone = 0; zone < kZones / 2; ++zone) {
            const double wanted = white * (key >> (3 * zone) & 7) / (kLevels - 1);
            sum += (wanted - coverage[zone]) * (wanted - coverage[zone]);
        }
        errors[key] = static_cast<float>(sum);
    }
}

std::unique_ptr<const ShapeTable> make_table() {
    // White is what the zones of the densest glyphs have on average: with more, all that is light would get the same
    // glyph, with less, the densest glyphs would never be used.
    unsigned densest = 0;
    for (const auto& coverage : kGlyphCoverage) {
        unsigned sum = 0;
        for (const std::uint8_t zone : coverage) sum += zone;
        densest = std::max(densest, sum);
    }
    const double white = 1.15 * densest / kZones;
    auto table = std::make_unique<ShapeTable>();
    std::array<float, kHalf> upper, lower;
    auto best = std::make_unique<std::array<float, kHalf * kHalf>>();
    best->fill(std::numeric_limits<float>::infinity());
    for (std::size_t glyph = 0; glyph < kGlyphCoverage.size(); ++glyph) {
        add_errors(kGlyphCoverage[glyph].data(), white, upper);
        add_errors(kGlyphCoverage[glyph].data() + kZones / 2, white, lower);
        const char character = static_cast<char>(' ' + glyph);
        for (unsigned high = 0; high < kHalf; ++high) {
            float* row = best->data() + high * kHalf;
            char* glyphs = table->data() + high * kHalf;
            for (unsigned low = 0; low < kHalf; ++low) {
                const float error = lower[high] + upper[low];
                glyphs[low] = error < row[low] ? character : glyphs[low];
                row[low] = std::min(error, row[low]);
            }
        }
    }
    return table;
}

}  // namespace

const ShapeTable& shape_table() {
    static const std::unique_ptr<const ShapeTable> made = make_table();
    return *made;
}

}  // namespace teleglyph
