/// Parsing of TCP and UDP ports.
public enum Port {
    /// Returns the port from 0 to 65,535 with these decimal digits; nil for any other text, including a sign or a
    /// blank.
    public static func parse(_ digits: some StringProtocol) -> UInt16? {
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return UInt16(digits)
    }
}
