import Foundation

/// Settings of a test run, from the environment.
public enum TestRun {
    /// Whether this is continuous integration, where a missing program is a failure. Elsewhere its tests are skipped.
    public static var isCI: Bool { !(ProcessInfo.processInfo.environment["CI"] ?? "").isEmpty }
    /// Whether `CULVERT_HEAVY=1` selects the full sizes and counts.
    public static var isHeavy: Bool { ProcessInfo.processInfo.environment["CULVERT_HEAVY"] == "1" }
    /// Whether `CULVERT_SLOW=1` enables the tests that wait longer than a minute.
    public static var isSlow: Bool { ProcessInfo.processInfo.environment["CULVERT_SLOW"] == "1" }
    /// Whether `CULVERT_TEST_LOGS=1` shows the output of all processes, also of tests that pass.
    public static var showsLogs: Bool { ProcessInfo.processInfo.environment["CULVERT_TEST_LOGS"] == "1" }
}
