// Package page draws a report as one HTML file that needs nothing else.
//
// It guarantees that the file loads nothing from anywhere, that it can be read
// in light and dark and on paper, that the same report gives the same bytes,
// and that nothing in a report, which may come from a stranger, becomes markup.
//
// It needs of the caller a report, with a trace for more than the delivery
// curve: what the report did not measure is not drawn.
//
// It does not measure and does not judge. Figures are those of the report;
// curves are drawn from the trace, which is a sample where a run was long.
package page
