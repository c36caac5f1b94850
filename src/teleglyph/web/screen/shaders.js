/** The programs of WebglPainter for the graphics processor, in GLSL ES 3. */

export const VERTEX_SHADER = `#version 300 es
void main() {
  // A triangle that covers everything.
  gl_Position = vec4(gl_VertexID == 1 ? 3 : -1, gl_VertexID == 2 ? 3 : -1, 0, 1);
}`;

export const FRAGMENT_SHADER = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp usampler2D;
uniform usampler2D slots, foregrounds, backgrounds, palette;
uniform sampler2D atlas;
uniform ivec2 grid, cell, selection;
uniform int slotsPerLine;
uniform uvec2 standard;
out vec4 pixel;

vec3 rgb(uint color, uint standardColor) {
  if (color == 0u) color = standardColor;
  else if (color >> 24 != 255u) color = texelFetch(palette, ivec2(int(color & 255u), 0), 0).r;
  return vec3(color & 255u, color >> 8 & 255u, color >> 16 & 255u) / 255.0;
}

void main() {
  ivec2 place = ivec2(gl_FragCoord.xy);
  place.y = grid.y * cell.y - 1 - place.y;
  ivec2 at = place / cell;
  int slot = int(texelFetch(slots, at, 0).r);
  ivec2 corner = ivec2(slot % slotsPerLine, slot / slotsPerLine) * cell;
  float coverage = texelFetch(atlas, corner + place - at * cell, 0).r;
  vec3 foreground = rgb(texelFetch(foregrounds, at, 0).r, standard.x);
  vec3 background = rgb(texelFetch(backgrounds, at, 0).r, standard.y);
  int index = at.y * grid.x + at.x;
  vec3 color = mix(background, foreground, coverage);
  pixel = vec4(index >= selection.x && index < selection.y ? 1.0 - color : color, 1);
}`;
