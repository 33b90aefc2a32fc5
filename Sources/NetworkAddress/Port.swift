/// TCP and UDP ports as text.
public enum Port {
    /// The port that decimal digits spell, 0 to 65,535; nil for a sign, a blank, any other character, or no digit at all.
    public static func parse(_ digits: some StringProtocol) -> UInt16? {
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return UInt16(digits)
    }
}
