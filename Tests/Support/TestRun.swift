import Foundation

/// Settings of a test run, from the environment.
public enum TestRun {
    /// In continuous integration a missing program is a failure, elsewhere a skipped test.
    public static var isCI: Bool { !(ProcessInfo.processInfo.environment["CI"] ?? "").isEmpty }
    /// `CULVERT_HEAVY=1` asks for the full sizes and counts.
    public static var isHeavy: Bool { ProcessInfo.processInfo.environment["CULVERT_HEAVY"] == "1" }
    /// `CULVERT_SLOW=1` asks for the tests that wait longer than a minute.
    public static var isSlow: Bool { ProcessInfo.processInfo.environment["CULVERT_SLOW"] == "1" }
    /// `CULVERT_TEST_LOGS=1` shows the output of all processes, also of tests that pass.
    public static var showsLogs: Bool { ProcessInfo.processInfo.environment["CULVERT_TEST_LOGS"] == "1" }
}
