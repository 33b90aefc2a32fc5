/// A bound that no configuration moves: its row in the table of limits.
///
/// The value is read from the constant that the code uses. The rows stand beside the types that hold the constants, by
/// theme, and the executable's table takes them in.
package struct FixedLimit: Sendable {
    /// What is bounded.
    package let name: String
    package let value: LimitValue
    /// The reason for the value: a clause without a capital letter and a full stop.
    package let reason: String
    /// Whether the session protocol sets it for both ends.
    package let isWire: Bool

    /// A row.
    package init(_ name: String, _ value: LimitValue, _ reason: String, isWire: Bool = false) {
        self.name = name
        self.value = value
        self.reason = reason
        self.isWire = isWire
    }
}
