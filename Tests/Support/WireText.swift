/// Describes frames by their numbers on the wire, so that a renamed identifier does not change the text.
public enum WireText {
    private static let frames: [UInt8: String] = [
        0x01: "CHALLENGE", 0x02: "AUTHENTICATE", 0x03: "WELCOME", 0x04: "RESUME", 0x05: "RESUMED", 0x06: "REFUSED",
        0x10: "BIND", 0x11: "BOUND", 0x12: "UNBOUND", 0x13: "UNBIND",
        0x20: "OPEN", 0x21: "ACCEPT", 0x22: "DATA", 0x23: "END", 0x24: "RESET", 0x25: "CREDIT", 0x26: "DATAGRAM",
        0x30: "PING", 0x31: "PONG", 0x32: "ACK", 0x33: "GOAWAY", 0x34: "RENEW",
    ]

    /// The shortest run of one byte that ``hexadecimal(_:)`` abbreviates.
    private static let shortestRun = 16

    /// The protocol page's name for a frame type.
    public static func name(ofFrame type: UInt8) -> String { frames[type] ?? "type \(type)" }

    /// Hexadecimal digits, with runs of one byte as `[61 x 1000]`.
    public static func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
        var (text, run): (String, (byte: UInt8, count: Int)) = ("", (0, 0))
        func flush() {
            let digits = (run.byte < 16 ? "0" : "") + String(run.byte, radix: 16)
            let isLong = run.count >= shortestRun
            text += isLong ? "[\(digits) x \(run.count)]" : String(repeating: digits, count: run.count)
        }
        for byte in bytes {
            if byte != run.byte {
                flush()
                run = (byte, 0)
            }
            run.count += 1
        }
        flush()
        return text
    }
}
