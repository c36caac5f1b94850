#include "style.hpp"

#include <algorithm>
#include <stdexcept>

#include "luminance.hpp"

namespace teleglyph {
namespace {

Glyph make_glyph(const std::string& character) {
    if (character.empty() || character.size() > 4)
        throw std::invalid_argument("a glyph is one character of 1 to 4 bytes, not " +
                                    std::to_string(character.size()) + " bytes");
    Glyph glyph{};
    std::copy(character.begin(), character.end(), glyph.bytes);
    glyph.length = static_cast<std::uint16_t>(character.size());
    glyph.blank = character == " " ? 1 : 0;
    return glyph;
}

const IndexedColors* indexed_colors(ColorLevel color) {
    switch (color) {
        case ColorLevel::ansi16: return &colors_16();
        case ColorLevel::ansi256: return &colors_256();
        default: return nullptr;
    }
}

std::uint32_t darkness_of(ColorLevel color, RenderMode render) {
    if (render == RenderMode::shape || color == ColorLevel::ansi16) return kDarkShapes;
    return render == RenderMode::foreground ? kDarkGlyphs : kDarkDots;
}

}  // namespace

Style::Style(ColorLevel color_level, RenderMode render_mode, const std::vector<std::string>& characters,
             bool is_dithered)
    : color(color_level),
      render(render_mode),
      glyphs{},
      widest_glyph(1),
      indexed(indexed_colors(color_level)),
      darkness(darkness_of(color_level, render_mode)),
      dithered(is_dithered && indexed != nullptr) {
    if (characters.empty() || characters.size() > 255)
        throw std::invalid_argument("a style needs 1 to 255 glyphs, not " + std::to_string(characters.size()));
    if (render == RenderMode::background && color == ColorLevel::none)
        throw std::invalid_argument("background mode needs colours");
    for (std::size_t luminance = 0; luminance < 256; ++luminance) {
        const std::size_t step = (luminance * (characters.size() - 1) + 127) / 255;
        glyphs[luminance] = make_glyph(characters[step]);
        widest_glyph = std::max(widest_glyph, glyphs[luminance].length);
    }
    glyphs[kBlankShade] = make_glyph(" ");
    if (render == RenderMode::foreground && glyphs[0].blank == 0) darkness = 0;
}

}  // namespace teleglyph
