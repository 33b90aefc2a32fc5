extension String {
    /// Returns whether the strings are equal apart from the case of ASCII letters, as tokens and origins are compared.
    func equalsIgnoringCase(_ other: String) -> Bool {
        func lowercased(_ unit: UInt8) -> UInt8 { (0x41...0x5A).contains(unit) ? unit | 0x20 : unit }
        return utf8.elementsEqual(other.utf8) { lowercased($0) == lowercased($1) }
    }
}
