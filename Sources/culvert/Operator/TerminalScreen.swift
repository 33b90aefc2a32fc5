import Platform

/// The terminal's alternate screen, for a page that is drawn again and again. What was on the terminal before is back at the
/// end, also after Ctrl-C.
struct TerminalScreen {
    /// Enters the alternate screen, without a cursor and without line breaks of the terminal.
    private static let enter: StaticString = "\u{1B}[?1049h\u{1B}[?25l\u{1B}[?7l"
    /// Undoes all of ``enter``.
    private static let leave: StaticString = "\u{1B}[?7h\u{1B}[?25h\u{1B}[?1049l"
    private static let signals = [SIGINT, SIGTERM, SIGHUP, SIGQUIT]

    /// Whether standard output is a terminal.
    static var isThere: Bool { isatty(STDOUT_FILENO) == 1 }

    /// Enters the screen. A signal that ends the process leaves it first.
    static func begin() {
        for number in signals {
            signal(number) { number in
                TerminalScreen.end()
                signal(number, SIG_DFL)
                raise(number)
            }
        }
        // Ctrl-Z gives the terminal back, and `fg` takes it again.
        signal(SIGTSTP) { _ in
            TerminalScreen.end()
            raise(SIGSTOP)
            TerminalScreen.write(TerminalScreen.enter)
        }
        write(enter)
    }

    /// Leaves the screen. Safe in a signal handler.
    static func end() { write(leave) }

    private static func write(_ text: StaticString) {
        text.withUTF8Buffer { _ = Output.write(UnsafeRawBufferPointer($0), to: STDOUT_FILENO) }
    }

    /// Draws a page in place of the present one.
    static func show(_ lines: [String]) {
        Output.bytes(Array(drawing(lines, rows: rows).utf8))
    }

    /// The bytes that draw a page. Lines beyond the last row are counted in the last row.
    static func drawing(_ lines: [String], rows: Int?) -> String {
        var lines = lines
        if let rows, lines.count > rows, rows > 1 {
            let left = lines.count - rows + 1
            lines = lines.prefix(rows - 1) + ["and \(CompactNumber.count(left, "line")) more; enlarge the window"]
        }
        // Drawing over the old page flickers less than clearing it first.
        return "\u{1B}[H" + lines.map { $0 + "\u{1B}[K" }.joined(separator: "\r\n") + "\u{1B}[J"
    }

    /// The height of the terminal; nil if it is unknown.
    private static var rows: Int? {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0 else { return nil }
        return Int(size.ws_row)
    }
}
