extension StringProtocol {
    /// Whether the text has another one in it.
    ///
    /// TOMLKit imports Foundation, whose method of this name would be taken otherwise. It makes a static executable 45 MB
    /// larger, most of it tables for languages. This one is preferred because its parameter has one type.
    func contains(_ other: String) -> Bool { firstRange(of: other) != nil }
}
