extension UInt8 {
    /// Whether the byte is a printable ASCII character.
    var isPrintableASCII: Bool { (0x20..<0x7F).contains(self) }
}

extension Unicode.Scalar {
    /// Whether the scalar is neither a control nor a format character, which could rearrange a terminal's line.
    var isPrintable: Bool {
        switch properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: false
        default: true
        }
    }
}
